//! Runs a function under AWS Lambda: requests come one at a time from Lambda's runtime API, as events of API Gateway's
//! second format (function URLs have it too), instead of from a port. The routes, limits and answers are the same.
//!
//! Between two requests the process is frozen: background work goes on with the next one.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

use axum::Router;
use axum::extract::ConnectInfo;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt as _};
use tower::ServiceExt as _;
use tower_http::normalize_path::NormalizePath;

/// Returns true if Lambda started this process. Lambda sets the variable by itself; it is no setting of ours.
pub(crate) fn is_there() -> bool {
    std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some()
}

/// Answers events until Lambda ends the process.
pub(crate) async fn serve(service: NormalizePath<Router>) -> ExitCode {
    let service = service.map_request(with_peer);
    match lambda_http::run(service).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            tracing::error!("Lambda's runtime API can't be used: {e}");
            ExitCode::FAILURE
        }
    }
}

/// Takes the peer's address from API Gateway's event, because there is no connection that has it.
fn with_peer(mut request: Request) -> Request {
    let Some(RequestContext::ApiGatewayV2(context)) = request.request_context_ref() else { return request };
    let address = context.http.source_ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok());
    if let Some(address) = address {
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(address, 0)));
    }
    request
}
