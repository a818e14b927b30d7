//! A model of hits and leases, compared with each answer of the store.

mod sweep_and_crash;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use super::crashable_store::CrashableStore;
use super::random_operations::Op;
use crate::caller::Caller;
use crate::clock::Clock;
use crate::conformance::fixture::{CALLER, report};
use crate::event::Outcome;
use crate::token_store::{
    Access, Created, HitOn, Intent, LeaseState, Method, Refusal, Reservation, ReserveRequest,
    Reserved, TokenId, TokenRecord,
};

const LEASE_MS: u64 = 500;
const LEASE: std::time::Duration = std::time::Duration::from_millis(LEASE_MS);

/// Method of each token, when its hits count, and how many it has.
pub const TOKENS: [(Method, HitOn, u64); 3] = [
    (Method::Get, HitOn::Start, 3),
    (Method::Get, HitOn::Complete, 2),
    (Method::Put, HitOn::Start, 2),
];

fn id(token: usize) -> TokenId {
    TokenId([u8::try_from(token).unwrap(); 16])
}

fn access(token: usize) -> Access {
    match TOKENS[token].0 {
        Method::Get | Method::Head => Access::Get,
        Method::Put => Access::Put,
    }
}

/// A hit that is held, or that a dead process has left finalising.
struct Held {
    token: usize,
    incarnation: u64,
    /// `None`: its process died.
    reservation: Option<Reservation>,
    until: u64,
    finalised: bool,
    /// The lease has lapsed or was taken over, or the token was deleted.
    lost: bool,
}

/// The model of one incarnation of a token.
#[derive(Clone, Copy)]
struct Incarnation {
    number: u64,
    spent: u64,
    acknowledged: u64,
    /// Hits of dropped futures, which may be counted after a crash.
    uncertain: u64,
}

pub struct Run {
    store: CrashableStore,
    incarnations: [Option<Incarnation>; TOKENS.len()],
    incarnations_so_far: u64,
    held: Vec<Held>,
}

impl Run {
    /// Creates all tokens.
    pub async fn begin(store: CrashableStore) -> Self {
        let mut run = Self {
            store,
            incarnations: [None; TOKENS.len()],
            incarnations_so_far: 0,
            held: Vec::new(),
        };
        for token in 0..TOKENS.len() {
            run.create(token).await;
        }
        run
    }

    fn now(&self) -> u64 {
        self.store.clock.now_ms()
    }

    /// Ends leases past their deadline; those that were finalised stay for a sweep.
    pub fn lapse(&mut self) {
        let now = self.now();
        for held in &mut self.held {
            held.lost |= held.until <= now && leased(held.token);
        }
        self.held
            .retain(|held| held.reservation.is_some() || held.finalised);
    }

    /// Counts leased hits.
    fn leased(&self, token: usize) -> u64 {
        let Some(incarnation) = self.incarnations[token] else {
            return 0;
        };
        let taken = self.held.iter().filter(|held| {
            let of_this = held.token == token && held.incarnation == incarnation.number;
            of_this && leased(token) && (held.finalised || !held.lost)
        });
        taken.count() as u64
    }

    async fn reserve(&self, token: usize) -> Reserved {
        self.store
            .reserve(id(token), &request(token))
            .await
            .unwrap()
    }

    fn admitted(&mut self, token: usize, reserved: Reserved) {
        let max = TOKENS[token].2;
        let taken = self.leased(token);
        let until = self.now() + LEASE_MS;
        match (reserved, &mut self.incarnations[token]) {
            (Reserved::Admitted { reservation, .. }, Some(incarnation)) => {
                assert!(incarnation.spent + taken < max, "more hits than max_hits");
                if !leased(token) {
                    incarnation.spent += 1;
                }
                self.held.push(Held {
                    token,
                    incarnation: incarnation.number,
                    reservation: Some(reservation),
                    until,
                    finalised: false,
                    lost: false,
                });
            }
            (Reserved::Refused(Refusal::HitsExceeded), Some(incarnation)) => {
                assert_eq!(
                    incarnation.spent + taken,
                    max,
                    "refused although a hit was left"
                );
            }
            (Reserved::Refused(Refusal::NotFound), None) => {}
            (other, _) => panic!("{other:?}"),
        }
    }

    /// Picks one of the hits whose holder incarnations.
    fn pick(&self, which: usize) -> Option<usize> {
        let alive: Vec<_> = (0..self.held.len())
            .filter(|&i| self.held[i].reservation.is_some())
            .collect();
        alive.get(which % alive.len().max(1)).copied()
    }

    pub async fn step(&mut self, op: Op) {
        match op {
            Op::Reserve { token } => {
                let reserved = self.reserve(token).await;
                self.admitted(token, reserved);
            }
            Op::ReserveDropped { token } => {
                let ready = poll_once(self.reserve(token));
                match ready {
                    Some(reserved) => self.admitted(token, reserved),
                    None => {
                        let incarnation = self.incarnations[token].as_mut().unwrap();
                        incarnation.uncertain += u64::from(!leased(token));
                    }
                }
            }
            Op::Renew { which } => self.extend(which, None).await,
            Op::Finalise { which } => {
                let intent = Intent {
                    size: 1,
                    caller: Caller::default(),
                    at_ms: self.now(),
                };
                self.extend(which, Some(intent)).await;
            }
            Op::Commit { which } => {
                if let Some(i) = self.pick(which) {
                    self.commit(i).await;
                }
            }
            Op::Release { which } => {
                if let Some(i) = self.pick(which) {
                    self.release(i).await;
                }
            }
            Op::AdvanceClock { ms } => self.store.advance(ms),
            Op::Sweep => self.sweep().await,
            Op::Crash => self.crash().await,
            Op::Delete { token } => {
                let deleted = self.store.delete(id(token)).await.unwrap();
                assert_eq!(deleted, self.incarnations[token].is_some());
                self.incarnations[token] = None;
                self.end_incarnation(token);
            }
            Op::Create { token } => self.create(token).await,
        }
    }

    async fn extend(&mut self, which: usize, intent: Option<Intent>) {
        let Some(i) = self.pick(which) else { return };
        let until = self.now() + LEASE_MS;
        let held = &mut self.held[i];
        let Some(reservation) = &held.reservation else {
            return;
        };
        let finalising = intent.is_some();
        let answer = match intent {
            Some(intent) => self.store.finalise(reservation, intent, LEASE).await,
            None => match reservation.lease() {
                Some(lease) => self.store.renew(lease, LEASE).await,
                None => Ok(LeaseState::Held),
            },
        };
        let expected = if leased(held.token) && held.lost {
            LeaseState::Lost
        } else {
            LeaseState::Held
        };
        assert_eq!(answer.unwrap(), expected);
        if expected == LeaseState::Held {
            held.until = until;
            held.finalised |= finalising && leased(held.token);
        }
    }

    async fn commit(&mut self, i: usize) {
        let mut held = self.held.swap_remove(i);
        let reservation = held.reservation.take().unwrap();
        let answer = self
            .store
            .commit(reservation, report(Outcome::Complete))
            .await
            .unwrap();
        if !leased(held.token) {
            return assert_eq!(answer, LeaseState::Held);
        }
        let expected = if held.lost {
            LeaseState::Lost
        } else {
            LeaseState::Held
        };
        assert_eq!(answer, expected);
        if held.lost {
            // Its upload may be visible; a sweep hands it out.
            return self.held.push(held);
        }
        let incarnation = self.incarnations[held.token].as_mut().unwrap();
        incarnation.spent += 1;
        incarnation.acknowledged += 1;
        assert!(incarnation.acknowledged <= TOKENS[held.token].2);
    }

    async fn release(&mut self, i: usize) {
        let mut held = self.held.swap_remove(i);
        let reservation = held.reservation.take().unwrap();
        self.store.release(reservation, 0, None).await.unwrap();
        if !leased(held.token)
            && let Some(incarnation) = &mut self.incarnations[held.token]
            && incarnation.number == held.incarnation
        {
            incarnation.spent -= 1;
        }
    }

    pub async fn create(&mut self, token: usize) {
        let (method, hit_on, max_hits) = TOKENS[token];
        let now = self.now() / 1000;
        let mut record = TokenRecord::new("bucket", "key", method, now, now + 1_000_000);
        record.hit_on = hit_on;
        record.max_hits = Some(max_hits);
        record.callback = Some("https://back.example.com/".into());
        let created = self.store.create(vec![(id(token), record)]).await;
        if self.incarnations[token].is_some() {
            return assert_eq!(created.unwrap(), Created::Exists { index: 0 });
        }
        assert_eq!(created.unwrap(), Created::Done);
        self.incarnations_so_far += 1;
        self.incarnations[token] = Some(Incarnation {
            number: self.incarnations_so_far,
            spent: 0,
            acknowledged: 0,
            uncertain: 0,
        });
    }

    fn end_incarnation(&mut self, token: usize) {
        for held in self.held.iter_mut().filter(|held| held.token == token) {
            held.lost = true;
            held.finalised = false;
        }
    }
}

fn leased(token: usize) -> bool {
    let (method, hit_on, _) = TOKENS[token];
    method == Method::Put || hit_on == HitOn::Complete
}

fn request(token: usize) -> ReserveRequest<'static> {
    ReserveRequest {
        access: access(token),
        declared_size: None,
        rules_checked: None,
        lease: LEASE,
        caller: CALLER,
    }
}

fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        std::task::Poll::Ready(ready) => Some(ready),
        std::task::Poll::Pending => None,
    }
}
