//! Two time limits in one hyper timer: for a request's headers, and for idle keep-alive connections.
//!
//! hyper has one limit for both. A proxy keeps idle connections for a minute, and a slow sender of
//! headers must not have a minute. So a sleep ends after `idle`; once the first byte of a head has
//! arrived, `header_read` after that byte. hyper starts a sleep when it begins to wait for a head and
//! polls it only while it waits.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::Timer;

use super::connection_state::ConnectionState;

pub(super) struct HeadTimer {
    pub(super) state: Arc<ConnectionState>,
    pub(super) header_read: Duration,
    pub(super) idle: Duration,
}

impl Timer for HeadTimer {
    fn sleep(&self, _duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.state.await_head();
        Box::pin(HeadSleep {
            state: Arc::clone(&self.state),
            header_read: self.header_read,
            head_started: false,
            sleep: Box::pin(tokio::time::sleep(self.idle)),
        })
    }

    fn sleep_until(&self, _deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep(self.idle)
    }
}

struct HeadSleep {
    state: Arc<ConnectionState>,
    header_read: Duration,
    head_started: bool,
    sleep: Pin<Box<tokio::time::Sleep>>,
}

impl hyper::rt::Sleep for HeadSleep {}

impl Future for HeadSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if !this.head_started && this.state.head_started() {
            this.head_started = true;
            let deadline = tokio::time::Instant::now() + this.header_read;
            this.sleep.as_mut().reset(deadline);
        }
        this.sleep.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER_READ: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(60);

    fn timer() -> HeadTimer {
        let state = Arc::new(ConnectionState::new());
        state.head_complete();
        HeadTimer {
            state,
            header_read: HEADER_READ,
            idle: IDLE,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_gets_the_idle_limit() {
        let began = tokio::time::Instant::now();
        timer().sleep(Duration::ZERO).await;
        assert!(began.elapsed() >= IDLE);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_byte_of_a_head_starts_the_header_limit() {
        let timer = timer();
        let began = tokio::time::Instant::now();
        let mut sleep = timer.sleep(Duration::ZERO);
        assert!(
            tokio::time::timeout(Duration::from_secs(20), sleep.as_mut())
                .await
                .is_err()
        );
        timer.state.add_received(1);
        sleep.await;
        let took = began.elapsed();
        assert!(took >= Duration::from_secs(30) && took < Duration::from_secs(31));
    }
}
