//! The database behind an API: `SQLite` in a file of its own, or a PostgreSQL that several replicas share.
//!
//! Both are reached through one pool and one text of SQL: `$1` for parameters, text, 64-bit integers, `ON CONFLICT` and
//! `RETURNING` are common to both.

use std::path::Path;
use std::str::FromStr as _;
use std::sync::Once;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{Any, AnyPool, Executor as _, SqlSafeStr as _, Transaction};

/// How long a request waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(5);
/// Connections to PostgreSQL, of each replica.
const CONNECTIONS: u32 = 10;

/// The ways in which the two databases differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Sqlite,
    Postgres,
}

/// Where the data is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    url: String,
    dialect: Dialect,
}

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The URL is of another database. It may hold a password, so that it is not repeated.
    #[error("DATABASE_URL must begin with postgres://, postgresql:// or sqlite:")]
    Scheme,
    /// The URL does not parse.
    #[error("DATABASE_URL cannot be used")]
    Url(#[source] sqlx::Error),
    /// No connection comes about, or the database refuses something.
    #[error("the database does not answer")]
    Connect(#[source] sqlx::Error),
    /// The tables cannot be brought up to date.
    #[error("the database's tables cannot be brought up to date")]
    Migrate(#[from] MigrateError),
}

impl DatabaseError {
    /// Whether another attempt may succeed with the same settings.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Scheme | Self::Url(_) => false,
            Self::Connect(_) => true,
            // Others are tables of another version of this program: they stay as they are.
            Self::Migrate(error) => matches!(
                error,
                MigrateError::Execute(_) | MigrateError::ExecuteMigration(..)
            ),
        }
    }
}

impl DatabaseUrl {
    /// A file of this name in a folder.
    #[must_use]
    pub fn file(folder: &Path, name: &str) -> Self {
        let file = folder.join(name);
        Self {
            url: format!("sqlite://{}?mode=rwc", file.display()),
            dialect: Dialect::Sqlite,
        }
    }

    /// As somebody wrote it: `postgres://user:password@host/database`, or `sqlite://file.db`.
    ///
    /// # Errors
    /// [`DatabaseError::Scheme`].
    pub fn parse(text: &str) -> Result<Self, DatabaseError> {
        let begins = |scheme| text.starts_with(scheme);
        if begins("postgres://") || begins("postgresql://") {
            let url = text.to_owned();
            return Ok(Self {
                url,
                dialect: Dialect::Postgres,
            });
        }
        if begins("sqlite:") {
            // A file that is not there yet is made.
            let mode = match (text.contains("mode="), text.contains('?')) {
                (true, _) => "",
                (false, true) => "&mode=rwc",
                (false, false) => "?mode=rwc",
            };
            let url = format!("{text}{mode}");
            return Ok(Self {
                url,
                dialect: Dialect::Sqlite,
            });
        }
        Err(DatabaseError::Scheme)
    }
}

/// The migrations of an API, each its name and its SQL, in their order. Which of them are done stands in a table of this name:
/// two APIs may have their tables in one database.
#[must_use]
pub fn migrations(table: &'static str, all: &[(&'static str, &'static str)]) -> Migrator {
    let migration = |(number, (name, sql)): (i64, &(&'static str, &'static str))| {
        let sql = sql.into_sql_str();
        Migration::new(number, (*name).into(), MigrationType::Simple, sql, false)
    };
    let mut migrator = Migrator::with_migrations((1..).zip(all).map(migration).collect());
    // Another name would be dangerous where tables were made under the usual one.
    migrator.dangerous_set_table_name(table);
    migrator
}

/// A database with the tables of an API.
#[derive(Debug, Clone)]
pub struct Database {
    pool: AnyPool,
    dialect: Dialect,
}

impl Database {
    /// Connects, and brings the tables up to date.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn open(url: &DatabaseUrl, migrations: &Migrator) -> Result<Self, DatabaseError> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        let dialect = url.dialect;
        let options = AnyConnectOptions::from_str(&url.url).map_err(DatabaseError::Url)?;
        let pool = AnyPoolOptions::new()
            .acquire_timeout(ACQUIRE)
            // SQLite has one writer, and a second connection would only learn that the file is busy.
            .max_connections(match dialect {
                Dialect::Sqlite => 1,
                Dialect::Postgres => CONNECTIONS,
            })
            .after_connect(move |connection, _| {
                let settings = match dialect {
                    // What was answered outlives the process and the machine.
                    Dialect::Sqlite => {
                        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;"
                    }
                    // What a replica held whose node is lost is free again soon, and waited for no longer than a request is.
                    Dialect::Postgres => {
                        "SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '15s';"
                    }
                };
                Box::pin(async move { connection.execute(settings).await.map(drop) })
            })
            .connect_with(options)
            .await
            .map_err(DatabaseError::Connect)?;
        migrations.run(&pool).await?;
        Ok(Self { pool, dialect })
    }

    /// Begins a transaction that will write.
    ///
    /// # Errors
    /// What the database says.
    pub async fn begin(&self) -> sqlx::Result<Transaction<'static, Any>> {
        match self.dialect {
            // One that only turns to writing later can find that another program wrote meanwhile.
            Dialect::Sqlite => self.pool.begin_with("BEGIN IMMEDIATE").await,
            Dialect::Postgres => self.pool.begin().await,
        }
    }

    /// For single statements.
    #[must_use]
    pub const fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Of a statement in both dialects, that of this database.
    #[must_use]
    pub const fn dialect(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self.dialect {
            Dialect::Sqlite => sqlite,
            Dialect::Postgres => postgres,
        }
    }

    /// Sees whether the database answers.
    ///
    /// # Errors
    /// What it says.
    pub async fn ping(&self) -> sqlx::Result<()> {
        sqlx::query("SELECT 1").execute(&self.pool).await.map(drop)
    }

    /// Ends the connections, once they are no longer used.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_of_one_of_two_databases() {
        for (text, url) in [
            ("postgres://a:b@c/d", "postgres://a:b@c/d"),
            (
                "postgresql://c/d?sslmode=require",
                "postgresql://c/d?sslmode=require",
            ),
            ("sqlite://orders.db", "sqlite://orders.db?mode=rwc"),
            (
                "sqlite:orders.db?cache=private",
                "sqlite:orders.db?cache=private&mode=rwc",
            ),
            ("sqlite::memory:", "sqlite::memory:?mode=rwc"),
            ("sqlite://orders.db?mode=ro", "sqlite://orders.db?mode=ro"),
        ] {
            assert_eq!(DatabaseUrl::parse(text).unwrap().url, url);
        }
        for text in ["mysql://a:secret@b/c", "orders.db", ""] {
            let error = DatabaseUrl::parse(text).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
