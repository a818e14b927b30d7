//! Sweeps, kills, and the last reckoning.

use super::{Held, LEASE, LEASE_MS, Run, TOKENS, id};
use crate::conformance::fixture::report;
use crate::event::Outcome;
use crate::token_store::{LeaseState, Refusal, Reserved};

impl Run {
    pub async fn sweep(&mut self) {
        let unsettled = self.world.store.sweep(LEASE).await.unwrap();
        let until = self.now() + LEASE_MS;
        let left = |held: &Held| held.finalised && held.lost;
        let expected = self.held.iter().filter(|held| left(held)).count();
        assert_eq!(unsettled.len(), expected);
        for held in &mut self.held {
            // Whoever held it before has nothing any more.
            held.finalised &= !left(held);
        }
        for unsettled in unsettled {
            let token = usize::from(unsettled.reservation.token_id().0[0]);
            self.held.push(Held {
                token,
                life: self.lives[token].unwrap().number,
                reservation: Some(unsettled.reservation),
                until,
                finalised: true,
                lost: false,
            });
        }
    }

    pub async fn crash(&mut self) {
        self.world.crash();
        for held in &mut self.held {
            held.reservation = None;
            held.lost = true;
        }
        for (token, life) in self.lives.iter_mut().enumerate() {
            let stored = self.world.store.get(id(token)).await.unwrap();
            assert_eq!(stored.is_some(), life.is_some());
            if let (Some(stored), Some(life)) = (stored, life) {
                let sure = life.spent..=life.spent + life.unsure;
                assert!(
                    sure.contains(&stored.used_hits),
                    "{} not in {sure:?}",
                    stored.used_hits
                );
                life.spent = stored.used_hits;
                life.unsure = 0;
            }
        }
    }

    pub async fn check(&self) {
        for (token, life) in self.lives.iter().enumerate() {
            let used = self
                .world
                .store
                .get(id(token))
                .await
                .unwrap()
                .map(|t| t.used_hits);
            assert_eq!(used, life.map(|life| life.spent));
        }
    }

    /// Everything lapses and is settled: then every hit that was not spent can be had again.
    pub async fn finish(&mut self) {
        self.world.advance(LEASE_MS);
        self.lapse();
        let unsettled = self.world.store.sweep(LEASE).await.unwrap();
        for (n, unsettled) in unsettled.into_iter().enumerate() {
            let token = usize::from(unsettled.reservation.token_id().0[0]);
            if n % 2 == 0 {
                let committed = self
                    .world
                    .store
                    .commit(unsettled.reservation, report(Outcome::Complete))
                    .await;
                assert_eq!(committed.unwrap(), LeaseState::Held);
                self.lives[token].as_mut().unwrap().spent += 1;
            } else {
                self.world
                    .store
                    .release(unsettled.reservation, 0, None)
                    .await
                    .unwrap();
            }
        }
        self.check().await;
        for (token, life) in self.lives.into_iter().enumerate() {
            let Some(life) = life else { continue };
            for _ in life.spent..TOKENS[token].2 {
                let reserved = self.reserve(token).await;
                assert!(
                    matches!(reserved, Reserved::Admitted { .. }),
                    "{reserved:?}"
                );
            }
            let reserved = self.reserve(token).await;
            let refused = matches!(reserved, Reserved::Refused(Refusal::HitsExceeded));
            assert!(refused, "{reserved:?}");
        }
    }
}
