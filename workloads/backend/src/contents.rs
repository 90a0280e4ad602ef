//! What a backend's database holds, summed up: to be shown when an order system has ended.

use std::collections::BTreeMap;

use ordermill_crds::BackendApp;
use serde::Serialize;
use sqlx::Row as _;

use crate::database::{Database, DatabaseError, DatabaseUrl};
use crate::order::store::OrderStore;
use crate::stock::store::StockStore;
use crate::store::StoreError;

/// What a database holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Contents {
    /// Orders, by status; every status is there.
    Orders(BTreeMap<String, i64>),
    /// Wood, by type.
    Stock(BTreeMap<String, StockAccount>),
}

/// What became of one type of wood.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StockAccount {
    /// What was delivered in all, each delivery once.
    pub delivered: i64,
    /// What was taken in all, each order once.
    pub decreased: i64,
    /// What is there.
    pub quantity: i64,
    /// Whether that is what was delivered and not taken.
    pub consistent: bool,
}

/// Why contents cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum ContentsError {
    /// The database cannot be opened.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// It cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A statement failed.
    #[error("the database failed")]
    Statement(#[from] sqlx::Error),
}

/// Sums up what the database of an app holds; `None` for an app that has none here.
///
/// # Errors
/// [`ContentsError`].
pub async fn contents(
    app: BackendApp,
    url: &DatabaseUrl,
) -> Result<Option<Contents>, ContentsError> {
    match app {
        BackendApp::Order => {
            let store = OrderStore::open(url).await?;
            let orders = orders(store.database()).await;
            store.database().close().await;
            Ok(Some(Contents::Orders(orders?)))
        }
        BackendApp::Stock => {
            let store = StockStore::open(url).await?;
            let stock = stock(store.database()).await;
            store.database().close().await;
            Ok(Some(Contents::Stock(stock?)))
        }
        BackendApp::Customer => Ok(None),
    }
}

async fn orders(database: &Database) -> Result<BTreeMap<String, i64>, sqlx::Error> {
    use crate::order::model::OrderStatus;
    let rows = sqlx::query("SELECT status, COUNT(*) AS orders FROM orders GROUP BY status")
        .fetch_all(database.pool())
        .await?;
    let every = OrderStatus::ALL.map(|status| (status.as_str().to_owned(), 0));
    let mut orders = BTreeMap::from(every);
    for row in &rows {
        orders.insert(row.try_get("status")?, row.try_get("orders")?);
    }
    Ok(orders)
}

async fn stock(database: &Database) -> Result<BTreeMap<String, StockAccount>, sqlx::Error> {
    // A sum of whole numbers is of another type in PostgreSQL.
    let statement = "
        SELECT s.wood_type AS wood_type, s.quantity AS quantity,
               CAST((SELECT COALESCE(SUM(d.quantity), 0) FROM deliveries d WHERE d.wood_type = s.wood_type) AS BIGINT) AS delivered,
               CAST((SELECT COALESCE(SUM(t.quantity), 0) FROM decreases t WHERE t.wood_type = s.wood_type) AS BIGINT) AS decreased
        FROM stocks s";
    let rows = sqlx::query(statement).fetch_all(database.pool()).await?;
    let mut stock = BTreeMap::new();
    for row in &rows {
        let (delivered, decreased): (i64, i64) =
            (row.try_get("delivered")?, row.try_get("decreased")?);
        let quantity = row.try_get("quantity")?;
        let account = StockAccount {
            delivered,
            decreased,
            quantity,
            consistent: quantity == delivered - decreased,
        };
        stock.insert(row.try_get("wood_type")?, account);
    }
    Ok(stock)
}
