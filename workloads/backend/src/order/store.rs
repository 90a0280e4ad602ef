//! Orders in the database.

use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;
use ordermill_runtime::telemetry::TraceContext;
use sqlx::any::AnyRow;
use sqlx::migrate::Migrator;
use sqlx::{AnyConnection, Row as _};
use uuid::Uuid;

use super::model::{NewOrder, Order, OrderStatus, StatusChange};
use crate::database::{Database, DatabaseError, DatabaseUrl, migrations};
use crate::store::{StoreError, later, optional_time, parsed, time};

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let first = include_str!("../../migrations/order/0001_orders.sql");
    migrations("order_migrations", &[("orders", first)])
});

/// The orders.
#[derive(Debug, Clone)]
pub struct OrderStore {
    database: Database,
}

/// What became of an order that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registration {
    /// It is new.
    Created(Order),
    /// It was there, just so.
    Known(Order),
    /// Another one with its id was there.
    Different,
}

/// What became of a change of status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The order is so now, or was before.
    Done(Order),
    /// There is no such order.
    Unknown,
    /// It cannot become that from what it is.
    Forbidden(OrderStatus),
    /// It was claimed again since, so many times in all.
    ClaimedSince(i64),
}

impl OrderStore {
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

    /// Registers an order, once. The trace of the request that does so stays with it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn register(
        &self,
        order: &NewOrder,
        trace: Option<&TraceContext>,
        now: Timestamp,
    ) -> Result<Registration, StoreError> {
        let mut transaction = self.database.begin().await?;
        let inserted = sqlx::query(
            "INSERT INTO orders (order_id, customer_id, wood_type, quantity, ordered_at, traceparent, status, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, 'registered', $7, $7)
             ON CONFLICT (order_id) DO NOTHING",
        )
        .bind(order.order_id.to_string())
        .bind(order.customer_id.as_str())
        .bind(order.wood_type.as_str())
        .bind(order.quantity)
        .bind(order.timestamp.to_string())
        .bind(trace.map(|trace| trace.traceparent().to_string()))
        .bind(now.as_millisecond())
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        let stored = find(&mut transaction, order.order_id, ONE).await?;
        transaction.commit().await?;
        Ok(match stored {
            Some(stored) if inserted == 1 => Registration::Created(stored),
            Some(stored) if stored.order == *order => Registration::Known(stored),
            _ => Registration::Different,
        })
    }

    /// Gives the oldest registered orders to one worker, for so long. No other gets them meanwhile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn claim(
        &self,
        worker: &str,
        limit: u32,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Vec<Order>, StoreError> {
        let mut transaction = self.database.begin().await?;
        end_leases(&mut transaction, now).await?;
        // Of several that claim at once, each takes other rows instead of waiting for the same ones.
        let statement = self.database.dialect(
            "UPDATE orders SET status = 'processing', worker = $1, lease_until = $2, attempts = attempts + 1, updated_at = $3
             WHERE order_id IN (SELECT order_id FROM orders WHERE status = 'registered' ORDER BY order_id LIMIT $4)
             RETURNING *",
            "UPDATE orders SET status = 'processing', worker = $1, lease_until = $2, attempts = attempts + 1, updated_at = $3
             WHERE order_id IN (SELECT order_id FROM orders WHERE status = 'registered' ORDER BY order_id LIMIT $4
                                FOR UPDATE SKIP LOCKED)
             RETURNING *",
        );
        let rows = sqlx::query(statement)
            .bind(worker)
            .bind(later(now, lease))
            .bind(now.as_millisecond())
            .bind(i64::from(limit))
            .fetch_all(&mut *transaction)
            .await?;
        transaction.commit().await?;
        let mut orders = rows.iter().map(order).collect::<Result<Vec<_>, _>>()?;
        orders.sort_by_key(|order| order.order.order_id);
        Ok(orders)
    }

    /// A page of orders by id: those after one, so many at most, of one status or of all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn page(
        &self,
        status: Option<OrderStatus>,
        after: Option<Uuid>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Order>, StoreError> {
        let mut transaction = self.database.begin().await?;
        end_leases(&mut transaction, now).await?;
        // No id comes before the empty text.
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        let query = match status {
            Some(status) => sqlx::query(
                "SELECT * FROM orders WHERE order_id > $1 AND status = $3 ORDER BY order_id LIMIT $2",
            )
            .bind(after)
            .bind(i64::from(limit))
            .bind(status.as_str()),
            None => sqlx::query("SELECT * FROM orders WHERE order_id > $1 ORDER BY order_id LIMIT $2")
                .bind(after)
                .bind(i64::from(limit)),
        };
        let rows = query.fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        rows.iter().map(order).collect()
    }

    /// One order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get(&self, id: Uuid, now: Timestamp) -> Result<Option<Order>, StoreError> {
        let mut transaction = self.database.begin().await?;
        end_leases(&mut transaction, now).await?;
        let order = find(&mut transaction, id, ONE).await?;
        transaction.commit().await?;
        Ok(order)
    }

    /// Moves an order on, where its status and its claims allow that. One that is there already stays as it is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn change(
        &self,
        id: Uuid,
        change: &StatusChange,
        now: Timestamp,
    ) -> Result<Change, StoreError> {
        let mut transaction = self.database.begin().await?;
        end_leases(&mut transaction, now).await?;
        let locking = self.database.dialect(ONE, ONE_LOCKED);
        let Some(stored) = find(&mut transaction, id, locking).await? else {
            return Ok(Change::Unknown);
        };
        if change
            .attempt
            .is_some_and(|attempt| attempt != stored.attempts)
        {
            return Ok(Change::ClaimedSince(stored.attempts));
        }
        if stored.status == change.status {
            transaction.commit().await?;
            return Ok(Change::Done(stored));
        }
        if !stored.status.may_become(change.status) {
            return Ok(Change::Forbidden(stored.status));
        }
        let row = sqlx::query(
            "UPDATE orders SET status = $2, worker = NULL, lease_until = NULL, updated_at = $3 WHERE order_id = $1 RETURNING *",
        )
        .bind(id.to_string())
        .bind(change.status.as_str())
        .bind(now.as_millisecond())
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Change::Done(order(&row)?))
    }
}

/// Orders whose lease is over are registered again.
async fn end_leases(connection: &mut AnyConnection, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE orders SET status = 'registered', worker = NULL, lease_until = NULL, updated_at = $1
         WHERE lease_until <= $1 AND status = 'processing'",
    )
    .bind(now.as_millisecond())
    .execute(connection)
    .await?;
    Ok(())
}

const ONE: &str = "SELECT * FROM orders WHERE order_id = $1";
/// The same, and nobody else changes it before the transaction ends; all of SQLite's that write are so.
const ONE_LOCKED: &str = "SELECT * FROM orders WHERE order_id = $1 FOR UPDATE";

async fn find(
    connection: &mut AnyConnection,
    id: Uuid,
    statement: &'static str,
) -> Result<Option<Order>, StoreError> {
    let row = sqlx::query(statement)
        .bind(id.to_string())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(order).transpose()
}

fn order(row: &AnyRow) -> Result<Order, StoreError> {
    Ok(Order {
        order: NewOrder {
            order_id: parsed(row, "order_id")?,
            customer_id: row.try_get("customer_id")?,
            wood_type: parsed(row, "wood_type")?,
            quantity: row.try_get("quantity")?,
            timestamp: parsed(row, "ordered_at")?,
        },
        traceparent: row.try_get("traceparent")?,
        status: parsed(row, "status")?,
        attempts: row.try_get("attempts")?,
        worker: row.try_get("worker")?,
        lease_until: optional_time(row, "lease_until")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}
