//! The servers that Strongroom is compared with, each in a process of its own.

mod echo;
mod postgres;

use std::net::SocketAddr;

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::Failure;

/// Runs one of the servers until its standard input ends.
///
/// # Errors
/// If it cannot come up.
pub(crate) fn serve(words: &[&str]) -> Result<(), Failure> {
    // As the program makes its own.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match words {
        ["echo"] => runtime.block_on(serve_router(echo::router())),
        ["postgres", sockets] => {
            runtime.block_on(async { serve_router(postgres::router(sockets).await?).await })
        }
        _ => Err("no such server".into()),
    }
}

async fn serve_router(router: axum::Router) -> Result<(), Failure> {
    use axum::serve::ListenerExt;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    say_ready(listener.local_addr()?);
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, router).with_graceful_shutdown(input_ended()).await?;
    Ok(())
}

/// Tells the process that started this one.
fn say_ready(address: SocketAddr) {
    println!("{address}");
}

async fn input_ended() {
    let mut input = tokio::io::stdin();
    let mut rest = Vec::new();
    // However it ends, it has ended.
    drop(input.read_to_end(&mut rest).await);
}
