//! The statements of `sync-pull`.

use std::collections::HashMap;
use std::sync::LazyLock;

use common::postgres::Query;
use common::{Caller, Db, Problem};
use context::Head;
use protocol::id::{RecordId, TenantId};
use protocol::wire::{Kind, MAX_PAGE_BYTES, MAX_PULL_RECORDS};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// Columns of a page's records, in the order in which they are read. A content above 4,096 bytes is given as its length and
/// fetched separately, only as many as the page takes; a thousand shorter ones can't exceed a page.
const COLUMNS: &str = "kind, id, project_id, case when octet_length(content) <= 4096 then content end as content, \
    case when octet_length(content) > 4096 then octet_length(content) end as length, \
    content_hash, version, updated_at, deleted, device_id, user_id, written_at, seq";

/// `MAX_PAGE_BYTES` in the type that Postgres counts in.
const PAGE_BYTES: i64 = MAX_PAGE_BYTES as i64;

const CONTENTS: &str = "/* contents */ select seq, content from context_records where seq > 0 and seq = any($1)";

/// Length of the range of the stream that is searched for a kind that has no index of its own; the answer is then a page that
/// may be empty, and a cursor to continue from.
const WINDOW: i64 = 50_000;

/// Selects the current row, its former versions and the writes that lost against it, by stream number. Contents beyond a page's
/// bytes are not read, except the first.
const HISTORY: &str = "/* context_history */
    select seq, version, updated_at, written_at, replaced_at, deleted, device_id, user_id, project_id, content_hash, is_current, fits,
           case when fits then content end as content
    from (
        select *, coalesce(sum(octet_length(content)) over (order by seq desc rows unbounded preceding), 0) <= $5
                  or row_number() over (order by seq desc) = 1 as fits
        from (
            select seq, version, updated_at, written_at, null::timestamptz as replaced_at, deleted, device_id, user_id, project_id,
                   content_hash, content, true as is_current
            from context_records where kind = $1 and id = $2 and seq < $3
            union all
            select seq, version, updated_at, written_at, replaced_at, deleted, device_id, user_id, project_id, content_hash, content,
                   false
            from context_history where kind = $1 and id = $2 and seq < $3
            order by seq desc limit $4
        ) entry
    ) entry
    order by seq desc";

const TOTALS: &str =
    "/* context_totals */ select kind, records, deleted, bytes, changed_at from context_totals order by kind";
const HISTORY_USAGE: &str = "/* context_history_usage */
    select h.history_bytes, coalesce(l.max_bytes, -1) from context_heads h cross join context_history_limits() l";
const DEVICES: &str = "/* context_devices */ select device_id, last_seen_at from context_devices order by last_seen_at desc, device_id limit 200";

/// Conditions that find a page's records: ranges of an index, each in order, that are merged as they are read.
fn ranges(kind: Option<Kind>, of_project: bool) -> Vec<String> {
    let of_kind = |kind| format!("kind = {}", context::kind::number(kind));
    match kind {
        None if of_project => Kind::ALL.iter().map(|kind| format!("{} and project_id = $3", of_kind(*kind))).collect(),
        Some(kind) if of_project => vec![format!("{} and project_id = $3", of_kind(kind))],
        // `seq > 0` lets the planner use the index of the stream.
        Some(kind) if is_windowed(Some(kind), of_project) => {
            vec![format!("{} and seq > 0 and seq <= $1::bigint + {WINDOW}", of_kind(kind))]
        }
        Some(kind) => vec![of_kind(kind)],
        None => vec!["seq > 0".to_owned()],
    }
}

/// Returns true if this kind has no index, because it makes up most of the records.
fn is_windowed(kind: Option<Kind>, of_project: bool) -> bool {
    matches!(kind, Some(Kind::Message | Kind::ToolAnalytics)) && !of_project
}

/// A page of the stream, from a number on. Where nothing is new, no record is looked at.
fn page(kind: Option<Kind>, of_project: bool) -> String {
    // Literals, not parameters: the planner sees that each part is in order, and that it is short. For a limit that it doesn't
    // know it expects a tenth of the table, and reads all of it.
    let part = |range: String| {
        format!(
            "(select {COLUMNS} from context_records where {range} and seq > $1 order by seq limit {MAX_PULL_RECORDS})"
        )
    };
    let parts: Vec<String> = ranges(kind, of_project).into_iter().map(part).collect();
    format!(
        "/* context_page */ select * from ({}) part
         where (select h.seq > $1 from context_heads h where h.tenant_id = current_tenant()) order by seq limit $2",
        parts.join(" union all ")
    )
}

/// The page statements for every kind, with and without a project, built once: a connection knows a statement by its text.
static PAGES: LazyLock<Vec<[String; 2]>> = LazyLock::new(|| {
    let choices = std::iter::once(None).chain(Kind::ALL.iter().copied().map(Some));
    choices.map(|kind| [page(kind, false), page(kind, true)]).collect()
});

/// One kind's records from the latest back: all, those of a project, of a status, and of both. Contents beyond a page's bytes are
/// not read, but for the first. A status that few tasks have is looked up by its own index, and not by reading through the kind:
/// hence the sum, which no index has.
static VIEWS: LazyLock<HashMap<Kind, [String; 4]>> =
    LazyLock::new(|| [Kind::Task, Kind::Decision, Kind::SkillLearning].map(|kind| (kind, views(kind))).into());

fn views(kind: Kind) -> [String; 4] {
    let kind = context::kind::number(kind);
    let narrowed = [
        format!("kind = {kind}"),
        format!("kind = {kind} and project_id = $4"),
        format!("kind + 0 = {kind} and status = $4"),
        format!("kind = {kind} and project_id = $4 and status = $5"),
    ];
    narrowed.map(|narrowed| {
        format!(
            "/* context_view */ select id, project_id, case when fits then content end, version, updated_at, device_id, seq, fits
             from (
                select *, coalesce(sum(octet_length(content)) over (order by seq desc rows unbounded preceding), 0) <= $3
                          or row_number() over (order by seq desc) = 1 as fits
                from (
                    select id, project_id, content, version, updated_at, device_id, seq from context_records
                    where {narrowed} and seq < $1 and not deleted order by seq desc limit $2
                ) part
             ) part
             order by seq desc"
        )
    })
}

/// Parameters of a listing; `after` is before it, where the listing goes back.
#[derive(Debug)]
pub(crate) struct PageQuery<'a> {
    pub(crate) after: i64,
    pub(crate) limit: u16,
    pub(crate) kind: Option<Kind>,
    pub(crate) project: Option<&'a str>,
}

impl PageQuery<'_> {
    fn sql(&self) -> &'static str {
        let kind = self.kind.map_or(0, |kind| Kind::ALL.iter().position(|k| *k == kind).map_or(0, |at| at + 1));
        &PAGES[kind][usize::from(self.project.is_some())]
    }

    /// Number up to which the stream was searched, where a page is not full.
    pub(crate) fn horizon(&self) -> i64 {
        if is_windowed(self.kind, self.project.is_some()) { self.after.saturating_add(WINDOW) } else { i64::MAX }
    }
}

/// Reads the end of the stream, and a page of it. The head is read first: changes that are committed between the two are on the
/// page or on a later one, and none is lost.
pub(crate) async fn pull(db: &Db, caller: &Caller, query: &PageQuery<'_>) -> Result<(Head, Vec<Row>), Problem> {
    let license = context::head::license_of(caller);
    let limit = i64::from(query.limit);
    let both: [&(dyn ToSql + Sync); 3] = [&query.after, &limit, &query.project];
    let params = if query.project.is_some() { &both[..] } else { &both[..2] };
    let tx = db.tenant("context_pull", caller.tenant()).await?;
    let [head, rows] = tx.finish([Head::query(&[&license]), (query.sql(), params)]).await?;
    Ok((allowed(db, caller, &head).await?, rows))
}

/// The contents of these records, as long as their numbers are still theirs: a record that changed meanwhile is on a later page.
pub(crate) async fn contents(db: &Db, tenant: TenantId, wanted: &[i64]) -> Result<HashMap<i64, Vec<u8>>, Problem> {
    let [rows] = db.tenant("contents", tenant).await?.finish([(CONTENTS, &[&wanted])]).await?;
    Ok(rows.iter().filter_map(|row| Some((row.get(0), row.get::<_, Option<Vec<u8>>>(1)?))).collect())
}

/// Returns the head, the totals per kind, the devices that have pushed, and the size of the history.
pub(crate) async fn status(db: &Db, caller: &Caller) -> Result<(Head, Vec<Row>, Vec<Row>, Vec<Row>), Problem> {
    let license = context::head::license_of(caller);
    let tx = db.tenant("context_status", caller.tenant()).await?;
    let [head, totals, devices, history] =
        tx.finish([Head::query(&[&license]), (TOTALS, &[]), (DEVICES, &[]), (HISTORY_USAGE, &[])]).await?;
    Ok((allowed(db, caller, &head).await?, totals, devices, history))
}

/// A page of the records of one kind that are not deleted, from the latest back; tasks of one status, where one is named.
pub(crate) async fn view(
    db: &Db,
    caller: &Caller,
    kind: Kind,
    query: &PageQuery<'_>,
    status: Option<&str>,
) -> Result<(Head, Vec<Row>), Problem> {
    let license = context::head::license_of(caller);
    let limit = i64::from(query.limit) + 1;
    let mut params: Vec<&(dyn ToSql + Sync)> = vec![&query.after, &limit, &PAGE_BYTES];
    if query.project.is_some() {
        params.push(&query.project);
    }
    if status.is_some() {
        params.push(&status);
    }
    let views = VIEWS.get(&kind).ok_or_else(|| Problem::internal_error(format_args!("there is no view of {kind}")))?;
    let sql = &views[usize::from(query.project.is_some()) + 2 * usize::from(status.is_some())];
    let tx = db.tenant("context_view", caller.tenant()).await?;
    let [head, rows] = tx.finish([Head::query(&[&license]), (sql, &params)]).await?;
    Ok((allowed(db, caller, &head).await?, rows))
}

/// Returns a record's current state, former versions and lost conflicts, from the latest back.
pub(crate) async fn history(
    db: &Db,
    caller: &Caller,
    kind: Kind,
    id: &RecordId,
    query: &PageQuery<'_>,
) -> Result<(Head, Vec<Row>), Problem> {
    let license = context::head::license_of(caller);
    let (kind, limit) = (context::kind::number(kind), i64::from(query.limit) + 1);
    let tx = db.tenant("context_history", caller.tenant()).await?;
    let history: Query<'_> = (HISTORY, &[&kind, &id.as_str(), &query.after, &limit, &PAGE_BYTES]);
    let [head, rows] = tx.finish([Head::query(&[&license]), history]).await?;
    Ok((allowed(db, caller, &head).await?, rows))
}

async fn allowed(db: &Db, caller: &Caller, head: &[Row]) -> Result<Head, Problem> {
    let head = Head::from_rows(caller.tenant(), head)?;
    head.must_allow(db).await?;
    Ok(head)
}
