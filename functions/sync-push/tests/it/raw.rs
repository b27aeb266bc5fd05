//! `context_push` by raw SQL, in transactions that stay open as long as a test wants.

use protocol::content::ContentHash;
use protocol::id::TenantId;
use serde_json::json;
use testing::World;
use tokio_postgres::{Client, Error};

/// A connection as the function's role, in a transaction of a tenant.
pub(crate) struct Open(pub(crate) Client);

impl Open {
    pub(crate) async fn begin(world: &World, tenant: TenantId) -> Self {
        let sql = world.db.connect("coditect_sync_push").await;
        sql.batch_execute(&format!("begin; set local app.tenant_id = '{tenant}'")).await.unwrap();
        Self(sql)
    }

    /// Pushes new decisions with these ids, and leaves the transaction open.
    pub(crate) async fn push(&self, ids: &[String]) -> Result<(), Error> {
        let contents: Vec<Vec<u8>> = ids.iter().map(|id| json!({"text": id}).to_string().into_bytes()).collect();
        let hashes: Vec<[u8; 32]> = contents.iter().map(|c| *ContentHash::of_canonical(c).as_bytes()).collect();
        let hashes: Vec<&[u8]> = hashes.iter().map(<[u8; 32]>::as_slice).collect();
        let bytes: i64 = contents.iter().map(|c| c.len() as i64).sum();
        let sql = "select n, outcome from context_push(null, null, 'raw', array_fill(3::smallint, array[cardinality($1::text[])]), $1,
            array_fill(null::text, array[cardinality($1)]), array_fill(null::text, array[cardinality($1)]),
            array_fill('2026-11-01'::timestamptz, array[cardinality($1)]), array_fill(false, array[cardinality($1)]),
            array_fill(null::bigint, array[cardinality($1)]), $2, $3, null, $4, '{3}', array[cardinality($1)::bigint], '{0}', array[$4::bigint])";
        let rows = self.0.query(sql, &[&ids, &hashes, &contents, &bytes]).await?;
        let words: Vec<(i64, &str)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert!(words.iter().all(|(n, outcome)| *n > 0 && *outcome == "duplicate"), "{words:?}");
        Ok(())
    }

    pub(crate) async fn commit(self) {
        self.0.batch_execute("commit").await.unwrap();
    }

    pub(crate) async fn rollback(self) {
        self.0.batch_execute("rollback").await.unwrap();
    }

    pub(crate) async fn pid(&self) -> i32 {
        self.0.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0)
    }
}
