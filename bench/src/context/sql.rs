//! A tenant's transactions without us: one prepared statement between `begin` and `commit`, in one round trip.

use std::collections::HashMap;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

use super::tenant::{self, Tenant};

/// A connection with a function's rights.
pub(crate) struct Database {
    client: Client,
    statement: Statement,
    begin: String,
    pub(crate) tenant: Tenant,
}

impl Database {
    /// A connection for one statement.
    pub(crate) async fn open(v: &HashMap<String, String>, tenant: &Tenant, role: &str, sql: &str) -> Self {
        let client = tenant::as_function(v, role).await;
        let statement = client.prepare(sql).await.expect("a statement");
        let begin = format!("begin; set local app.tenant_id = '{}'", tenant.id);
        Self { client, statement, begin, tenant: tenant.clone() }
    }

    /// Runs it, and says how many rows it made.
    pub(crate) async fn execute(&self, values: &[&(dyn ToSql + Sync)]) -> u64 {
        let (begun, rows, committed) = tokio::join!(biased;
            self.client.batch_execute(&self.begin),
            self.client.execute(&self.statement, values),
            self.client.batch_execute("commit"));
        begun.and(committed).expect("a transaction");
        rows.expect("a statement's end")
    }

    /// Runs it, and answers its rows.
    pub(crate) async fn query(&self, values: &[&(dyn ToSql + Sync)]) -> Vec<Row> {
        let (begun, rows, committed) = tokio::join!(biased;
            self.client.batch_execute(&self.begin),
            self.client.query(&self.statement, values),
            self.client.batch_execute("commit"));
        begun.and(committed).expect("a transaction");
        rows.expect("rows")
    }
}
