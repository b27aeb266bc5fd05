//! The request that is being answered, as far as the lines of the log, metrics and outgoing calls have to know of it.
//!
//! It is task-local, so that every line that is written on the way to the answer names the request it belongs to, and no
//! signature has to carry it.

use std::sync::{Arc, OnceLock};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use protocol::id::TenantId;
use protocol::trace::TraceContext;

/// Maximum length of a caller's own request id; a longer one is replaced.
const ID_MAX_BYTES: usize = 128;
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static CURRENT: Arc<Current>;
}

/// Context of a request.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) id: HeaderValue,
    /// Its span, or its caller's when none are made here.
    pub(crate) trace: Option<TraceContext>,
    function: OnceLock<&'static str>,
    tenant: OnceLock<TenantId>,
}

impl Current {
    pub(crate) fn new(id: HeaderValue, trace: Option<TraceContext>) -> Arc<Self> {
        Arc::new(Self { id, trace, function: OnceLock::new(), tenant: OnceLock::new() })
    }

    /// Returns the function that answers it, where a process has several.
    pub(crate) fn function(&self) -> Option<&'static str> {
        self.function.get().copied()
    }

    /// Returns its tenant, once that is known.
    pub(crate) fn tenant(&self) -> Option<TenantId> {
        self.tenant.get().copied()
    }
}

/// Runs a future within a request: everything on the way belongs to it.
pub(crate) async fn within<T>(current: Arc<Current>, answer: impl Future<Output = T>) -> T {
    CURRENT.scope(current, answer).await
}

/// Runs a closure within a request.
pub(crate) fn within_sync<T>(current: Arc<Current>, act: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(current, act)
}

/// Calls `look` with the request that is being answered, if there is one.
pub(crate) fn current<T>(look: impl FnOnce(&Current) -> Option<T>) -> Option<T> {
    CURRENT.try_with(|current| look(current)).ok().flatten()
}

/// Notes the request's tenant, for the log. The first call wins.
pub fn set_tenant(tenant: TenantId) {
    current(|request| request.tenant.set(tenant).ok());
}

/// Notes which function answers the request, where a process has several.
pub fn set_function(function: &'static str) {
    current(|request| request.function.set(function).ok());
}

/// Returns the caller's own id for the request, or a new one.
pub(crate) fn id(headers: &HeaderMap) -> HeaderValue {
    let sane = |v: &&HeaderValue| {
        let bytes = v.as_bytes();
        (1..=ID_MAX_BYTES).contains(&bytes.len())
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(b))
    };
    headers.get(REQUEST_ID).filter(sane).cloned().unwrap_or_else(|| {
        let id = uuid::Uuid::now_v7().to_string();
        HeaderValue::try_from(id).expect("a UUID is ASCII")
    })
}
