//! Sweeps and crashes in the model, and its final check.

use super::{Held, LEASE, LEASE_MS, Run, TOKENS, id};
use crate::conformance::fixture::report;
use crate::event::Outcome;
use crate::token_store::{LeaseState, Refusal, Reserved};

impl Run {
    pub async fn sweep(&mut self) {
        let unsettled = self.store.sweep(LEASE).await.unwrap();
        let until = self.now() + LEASE_MS;
        let left = |held: &Held| held.finalised && held.lost;
        let expected = self.held.iter().filter(|held| left(held)).count();
        assert_eq!(unsettled.len(), expected);
        for held in &mut self.held {
            // The previous holder has lost the lease.
            held.finalised &= !left(held);
        }
        for unsettled in unsettled {
            let token = usize::from(unsettled.reservation.token_id().0[0]);
            self.held.push(Held {
                token,
                incarnation: self.incarnations[token].unwrap().number,
                reservation: Some(unsettled.reservation),
                until,
                finalised: true,
                lost: false,
            });
        }
    }

    pub async fn crash(&mut self) {
        self.store.crash();
        for held in &mut self.held {
            held.reservation = None;
            held.lost = true;
        }
        for (token, incarnation) in self.incarnations.iter_mut().enumerate() {
            let stored = self.store.get(id(token)).await.unwrap();
            assert_eq!(stored.is_some(), incarnation.is_some());
            if let (Some(stored), Some(incarnation)) = (stored, incarnation) {
                let sure = incarnation.spent..=incarnation.spent + incarnation.uncertain;
                assert!(
                    sure.contains(&stored.used_hits),
                    "{} not in {sure:?}",
                    stored.used_hits
                );
                incarnation.spent = stored.used_hits;
                incarnation.uncertain = 0;
            }
        }
    }

    pub async fn check(&self) {
        for (token, incarnation) in self.incarnations.iter().enumerate() {
            let used = self
                .store
                .get(id(token))
                .await
                .unwrap()
                .map(|t| t.used_hits);
            assert_eq!(used, incarnation.map(|incarnation| incarnation.spent));
        }
    }

    /// Lets all leases lapse and settles them; then every unspent hit can be reserved again.
    pub async fn finish(&mut self) {
        self.store.advance(LEASE_MS);
        self.lapse();
        let unsettled = self.store.sweep(LEASE).await.unwrap();
        for (n, unsettled) in unsettled.into_iter().enumerate() {
            let token = usize::from(unsettled.reservation.token_id().0[0]);
            if n % 2 == 0 {
                let committed = self
                    .store
                    .commit(unsettled.reservation, report(Outcome::Complete))
                    .await;
                assert_eq!(committed.unwrap(), LeaseState::Held);
                self.incarnations[token].as_mut().unwrap().spent += 1;
            } else {
                self.store
                    .release(unsettled.reservation, 0, None)
                    .await
                    .unwrap();
            }
        }
        self.check().await;
        for (token, incarnation) in self.incarnations.into_iter().enumerate() {
            let Some(incarnation) = incarnation else {
                continue;
            };
            for _ in incarnation.spent..TOKENS[token].2 {
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
