//! Stock in the database.

use std::sync::LazyLock;

use jiff::Timestamp;
use ordermill_events::wood::WoodType;
use sqlx::any::AnyRow;
use sqlx::migrate::Migrator;
use sqlx::{AnyConnection, Row as _};

use super::model::{Decrease, Delivery, Stock};
use crate::database::{Database, DatabaseError, DatabaseUrl, migrations};
use crate::store::{StoreError, parsed};

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let first = include_str!("../../migrations/stock/0001_stocks.sql");
    migrations("stock_migrations", &[("stocks", first)])
});

/// The stock.
#[derive(Debug, Clone)]
pub struct StockStore {
    database: Database,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addition {
    /// It was added.
    Added(Stock),
    /// It was added before, just so.
    Known(Stock),
    /// Another one with its id was added.
    Different,
}

/// What became of wood that is to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taking {
    /// It is taken, now or by an earlier request with the same key; so much was left then.
    Taken(Stock),
    /// There is less than that.
    Insufficient(i64),
    /// There never was any.
    Unknown,
    /// The key was used for something else.
    KeyUsed,
    /// The same claim or a later one has cancelled it.
    Cancelled,
}

/// What became of a decrease that is not to be made any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelling {
    /// Nothing was taken, and nothing will be by the same claim or an earlier one.
    Cancelled,
    /// It was made before.
    Taken,
}

impl StockStore {
    /// Opens the database and brings its tables up to date.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn open(url: &DatabaseUrl) -> Result<Self, DatabaseError> {
        let database = Database::open(url, &MIGRATIONS).await?;
        Ok(Self { database })
    }

    /// The database.
    #[must_use]
    pub const fn database(&self) -> &Database {
        &self.database
    }

    /// Adds a delivery, once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add(&self, delivery: &Delivery, now: Timestamp) -> Result<Addition, StoreError> {
        let mut transaction = self.database.begin().await?;
        // Where another request tells the same delivery at this moment, this waits for what becomes of it.
        let inserted = sqlx::query(
            "INSERT INTO deliveries (delivery_id, supplier_id, wood_type, quantity, delivered_at, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (delivery_id) DO NOTHING",
        )
        .bind(delivery.delivery_id.to_string())
        .bind(delivery.supplier_id.as_str())
        .bind(delivery.wood_type.as_str())
        .bind(delivery.quantity)
        .bind(delivery.timestamp.to_string())
        .bind(now.as_millisecond())
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        if inserted == 0 {
            let known = sqlx::query("SELECT * FROM deliveries WHERE delivery_id = $1")
                .bind(delivery.delivery_id.to_string())
                .fetch_one(&mut *transaction)
                .await?;
            let stock = find(&mut transaction, delivery.wood_type).await?;
            transaction.commit().await?;
            return Ok(match stock {
                Some(stock) if self::delivery(&known)? == *delivery => Addition::Known(stock),
                _ => Addition::Different,
            });
        }
        let row = sqlx::query(
            "INSERT INTO stocks (wood_type, quantity, updated_at) VALUES ($1, $2, $3)
             ON CONFLICT (wood_type) DO UPDATE SET quantity = stocks.quantity + excluded.quantity, updated_at = excluded.updated_at
             RETURNING *",
        )
        .bind(delivery.wood_type.as_str())
        .bind(delivery.quantity)
        .bind(now.as_millisecond())
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Addition::Added(stock(&row)?))
    }

    /// Takes wood, if there is enough; with a key, once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take(
        &self,
        decrease: &Decrease,
        key: Option<&str>,
        now: Timestamp,
    ) -> Result<Taking, StoreError> {
        let mut transaction = self.database.begin().await?;
        if let Some(key) = key
            && !reserve(&mut transaction, key, decrease, now).await?
        {
            let taken = sqlx::query("SELECT * FROM decreases WHERE idempotency_key = $1")
                .bind(key)
                .fetch_one(&mut *transaction)
                .await?;
            transaction.commit().await?;
            let Some(quantity) = taken.try_get("quantity")? else {
                return Ok(Taking::Cancelled);
            };
            let before = Decrease {
                wood_type: parsed(&taken, "wood_type")?,
                quantity,
                attempt: decrease.attempt,
            };
            return Ok(if before == *decrease {
                Taking::Taken(Stock {
                    wood_type: before.wood_type,
                    quantity: taken.try_get("remaining")?,
                })
            } else {
                Taking::KeyUsed
            });
        }
        // One statement, so that of several at once none takes what another has taken.
        let left = sqlx::query(
            "UPDATE stocks SET quantity = quantity - $2, updated_at = $3 WHERE wood_type = $1 AND quantity >= $2 RETURNING *",
        )
        .bind(decrease.wood_type.as_str())
        .bind(decrease.quantity)
        .bind(now.as_millisecond())
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(left) = left else {
            let stock = find(&mut transaction, decrease.wood_type).await?;
            // The key is free again: with more in stock the same request succeeds.
            transaction.rollback().await?;
            return Ok(stock.map_or(Taking::Unknown, |stock| {
                Taking::Insufficient(stock.quantity)
            }));
        };
        let left = stock(&left)?;
        if let Some(key) = key {
            sqlx::query("UPDATE decreases SET remaining = $2 WHERE idempotency_key = $1")
                .bind(key)
                .bind(left.quantity)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(Taking::Taken(left))
    }

    /// Sees to it that a key takes nothing any more, if it has not yet: what this claim or an earlier one asks for from
    /// now on is refused, also what is still under way.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cancel(
        &self,
        key: &str,
        attempt: i64,
        now: Timestamp,
    ) -> Result<Cancelling, StoreError> {
        let mut transaction = self.database.begin().await?;
        // Where a decrease with this key is made at this moment, this waits for what becomes of it.
        let cancelled = sqlx::query(
            "INSERT INTO decreases (idempotency_key, cancelled_by, created_at)
             VALUES ($1, $2, $3)
             ON CONFLICT (idempotency_key) DO UPDATE SET cancelled_by =
                CASE WHEN decreases.cancelled_by > excluded.cancelled_by THEN decreases.cancelled_by ELSE excluded.cancelled_by END
             WHERE decreases.quantity IS NULL",
        )
        .bind(key)
        .bind(attempt)
        .bind(now.as_millisecond())
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        transaction.commit().await?;
        Ok(if cancelled == 1 {
            Cancelling::Cancelled
        } else {
            Cancelling::Taken
        })
    }

    /// Every kind that was ever delivered, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn all(&self) -> Result<Vec<Stock>, StoreError> {
        let rows = sqlx::query("SELECT * FROM stocks ORDER BY wood_type")
            .fetch_all(self.database.pool())
            .await?;
        rows.iter().map(stock).collect()
    }

    /// One kind, if it was ever delivered.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get(&self, wood_type: WoodType) -> Result<Option<Stock>, StoreError> {
        let mut connection = self.database.pool().acquire().await?;
        find(&mut connection, wood_type).await
    }
}

/// Notes that a key is used; `false`: it was before, or was cancelled by the same claim or a later one. Of two requests at
/// once, the second waits for what becomes of the first.
async fn reserve(
    connection: &mut AnyConnection,
    key: &str,
    decrease: &Decrease,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let inserted = sqlx::query(
        "INSERT INTO decreases (idempotency_key, wood_type, quantity, remaining, created_at)
         VALUES ($1, $2, $3, 0, $4)
         ON CONFLICT (idempotency_key) DO UPDATE SET wood_type = excluded.wood_type, quantity = excluded.quantity, remaining = 0
         WHERE decreases.quantity IS NULL AND decreases.cancelled_by < $5",
    )
    .bind(key)
    .bind(decrease.wood_type.as_str())
    .bind(decrease.quantity)
    .bind(now.as_millisecond())
    // What names no claim is older than any that cancels.
    .bind(decrease.attempt.unwrap_or(0))
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

async fn find(
    connection: &mut AnyConnection,
    wood_type: WoodType,
) -> Result<Option<Stock>, StoreError> {
    let row = sqlx::query("SELECT * FROM stocks WHERE wood_type = $1")
        .bind(wood_type.as_str())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(stock).transpose()
}

fn stock(row: &AnyRow) -> Result<Stock, StoreError> {
    Ok(Stock {
        wood_type: parsed(row, "wood_type")?,
        quantity: row.try_get("quantity")?,
    })
}

fn delivery(row: &AnyRow) -> Result<Delivery, StoreError> {
    Ok(Delivery {
        delivery_id: parsed(row, "delivery_id")?,
        supplier_id: row.try_get("supplier_id")?,
        wood_type: parsed(row, "wood_type")?,
        quantity: row.try_get("quantity")?,
        timestamp: parsed(row, "delivered_at")?,
    })
}
