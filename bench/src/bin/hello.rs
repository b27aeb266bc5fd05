//! The smallest server that there is for us: axum with a constant, in a program of its own. `PORT` is an address, and
//! it prints where it listens.

use std::io::Write as _;
use std::net::SocketAddr;

use axum::Router;
use axum::routing::post;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() {
    let address = std::env::vars().find_map(|(name, value)| (name == "PORT").then_some(value));
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:0")).await.expect("a free port");
    let _ = writeln!(std::io::stdout(), "{}", listener.local_addr().expect("a bound listener"));
    let app = Router::new().route("/", post(|_: axum::body::Bytes| async { "{\"status\":\"ok\"}" }));
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await.expect("it serves");
}
