//! The smallest server that there is for us: axum with a constant, in a program of its own. `PORT` is an address, and
//! it prints where it listens.

use std::io::Write as _;
use std::net::SocketAddr;

use axum::Router;
use axum::routing::post;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() {
    let address = std::env::var("PORT").unwrap_or_else(|_| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(&address).await.expect("a free port");
    let _ = writeln!(std::io::stdout(), "{}", listener.local_addr().expect("a bound listener"));
    let app = Router::new().route("/", post(|_: axum::body::Bytes| async { "{\"status\":\"ok\"}" }));
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await.expect("it serves");
}
