//! The servers that are measured, each in a process of its own.

mod echo;
mod postgres;
mod strongroom;

use std::net::SocketAddr;
use std::path::Path;

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::Failure;

pub(crate) use strongroom::{INVITATION_FILE, STORE_FOLDER};

/// Runs one of the servers until its standard input ends.
///
/// # Errors
/// If it cannot come up.
pub(crate) fn serve(words: &[&str]) -> Result<(), Failure> {
    // As the server's own command line makes it.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match words {
        ["echo"] => runtime.block_on(serve_router(echo::router())),
        ["postgres", sockets] => {
            runtime.block_on(async { serve_router(postgres::router(sockets).await?).await })
        }
        ["strongroom", folder] => runtime.block_on(strongroom::serve(Path::new(folder))),
        _ => Err("no such server".into()),
    }
}

async fn serve_router(router: axum::Router) -> Result<(), Failure> {
    use axum::serve::ListenerExt;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    say_ready(listener.local_addr()?, "");
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, router).with_graceful_shutdown(input_ended()).await?;
    Ok(())
}

/// Tells the process that started this one.
fn say_ready(address: SocketAddr, remarks: &str) {
    println!("{address} {remarks}");
}

async fn input_ended() {
    let mut input = tokio::io::stdin();
    let mut rest = Vec::new();
    // However it ends, it has ended.
    drop(input.read_to_end(&mut rest).await);
}
