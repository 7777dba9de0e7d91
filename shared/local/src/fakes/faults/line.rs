//! A fake provider's connections, which can be broken: refused while the provider is down, and reset in the middle of a
//! call. axum serves on it as on any listener.

use std::future::Future;
use std::io::{Error, ErrorKind, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::Switch;

/// Connections that wait to be taken.
const BACKLOG: u32 = 1_024;

/// The wait after the system refused a socket, such as for want of file descriptors.
const SOCKET_WAIT: Duration = Duration::from_millis(50);

/// An address on which a provider listens, unless it is down.
pub(crate) struct Line {
    address: SocketAddr,
    /// Bound and never listening: keeps the port ours while nobody listens on it.
    _hold: TcpSocket,
    listener: Option<TcpListener>,
    switch: Arc<Switch>,
}

impl Line {
    /// A line on a free port.
    pub(crate) fn open(switch: Arc<Switch>) -> Result<Self> {
        let hold = bound((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = hold.local_addr()?;
        let listener = Some(bound(address)?.listen(BACKLOG)?);
        switch.listening.send_replace(true);
        Ok(Self { address, _hold: hold, listener, switch })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The listener, as soon as there may be one.
    async fn listener(&mut self) -> &TcpListener {
        let mut faults = self.switch.faults.subscribe();
        loop {
            if faults.borrow_and_update().down {
                self.listener = None;
                self.switch.listening.send_replace(false);
                if faults.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
                continue;
            }
            if self.listener.is_none() {
                match bound(self.address).and_then(|socket| socket.listen(BACKLOG)) {
                    Ok(listener) => self.listener = Some(listener),
                    Err(error) => {
                        tracing::warn!(%error, "a fake provider cannot listen; tried again soon");
                        tokio::time::sleep(SOCKET_WAIT).await;
                        continue;
                    }
                }
            }
            self.switch.listening.send_replace(true);
            break;
        }
        self.listener.as_ref().unwrap_or_else(|| unreachable!("it was made above"))
    }
}

/// Two sockets may have one port when both allow it and at most one of them listens.
fn bound(address: SocketAddr) -> Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

impl Listener for Line {
    type Io = Wire;
    type Addr = Cut;

    async fn accept(&mut self) -> (Wire, Cut) {
        loop {
            let mut faults = self.switch.faults.subscribe();
            let listener = self.listener().await;
            let accepted = tokio::select! {
                _ = faults.wait_for(|faults| faults.down) => continue,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let cut = Cut::default();
                    return (Wire::of(stream, cut.clone(), Arc::clone(&self.switch)), cut);
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection to a fake provider was not taken");
                    tokio::time::sleep(SOCKET_WAIT).await;
                }
            }
        }
    }

    fn local_addr(&self) -> Result<Cut> {
        Ok(Cut::default())
    }
}

/// Breaks one connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cut(Arc<AtomicBool>);

impl Cut {
    pub(super) fn make(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn is_made(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl Connected<IncomingStream<'_, Line>> for Cut {
    fn connect_info(stream: IncomingStream<'_, Line>) -> Self {
        stream.remote_addr().clone()
    }
}

/// A connection that breaks when it is cut, or when its provider goes down.
pub(crate) struct Wire {
    stream: TcpStream,
    cut: Cut,
    /// Ends when the provider goes down.
    down: Pin<Box<dyn Future<Output = ()> + Send>>,
    switch: Arc<Switch>,
}

impl Wire {
    fn of(stream: TcpStream, cut: Cut, switch: Arc<Switch>) -> Self {
        switch.open.fetch_add(1, Ordering::SeqCst);
        let mut faults = switch.faults.subscribe();
        let down = Box::pin(async move {
            if faults.wait_for(|faults| faults.down).await.is_err() {
                std::future::pending::<()>().await;
            }
        });
        Self { stream, cut, down, switch }
    }

    /// The error of a connection that was reset, if this one is to be.
    fn broken(&mut self, context: &mut Context<'_>) -> Result<()> {
        if !self.cut.is_made() && self.down.as_mut().poll(context).is_ready() {
            self.cut.make();
        }
        if !self.cut.is_made() {
            return Ok(());
        }
        // Closing it then sends a reset, as a broken connection does, and no orderly end.
        self.stream.set_zero_linger()?;
        Err(Error::from(ErrorKind::ConnectionReset))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.switch.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        self.broken(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        self.broken(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.broken(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.broken(context)?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
