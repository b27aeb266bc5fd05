//! One holder and several licenses of the tenant.

use seats::session::OpenOutcome;
use seats::{AcquireOutcome, Grant};

use crate::deployment::{Deployment, TTL_MS};

async fn granted(license: &Deployment, holder: usize) -> Grant {
    // The first grant restores the license.
    let seat = license.seat(99).await;
    license.end_session(seat.session).await;
    match license.acquire_in_redis(holder, &license.terms().await).await.unwrap() {
        AcquireOutcome::Seat(grant) => grant,
        refused => panic!("{refused:?}"),
    }
}

#[tokio::test]
async fn of_two_openings_on_two_licenses_one_is_told_of_the_other() {
    let one = Deployment::new(5).await;
    let two = one.another_license(5).await;
    for holder in 0..10 {
        let (first, second) = (granted(&one, holder).await, granted(&two, holder).await);
        let opened = match holder {
            0 => (one.open_beside(holder, &first, &[]).await, two.open_beside(holder, &second, &[]).await),
            1 => {
                let second = two.open_beside(holder, &second, &[]).await;
                (one.open_beside(holder, &first, &[]).await, second)
            }
            _ => tokio::join!(one.open_beside(holder, &first, &[]), two.open_beside(holder, &second, &[])),
        };
        let (winner, loser, grant) = match opened {
            (OpenOutcome::Open, OpenOutcome::Elsewhere) => (&one, &two, first),
            (OpenOutcome::Elsewhere, OpenOutcome::Open) => (&two, &one, second),
            both => panic!("{both:?}"),
        };
        assert_eq!((winner.open_rows().await, winner.live().await), (vec![grant.session], vec![grant.session]));
        assert_eq!((loser.open_rows().await, loser.live().await), (vec![], vec![]), "its grant was given back");
        // Another request of the holder on the license that won gets the same session.
        assert_eq!(winner.open_beside(holder, &grant, &[]).await, OpenOutcome::Open);
        winner.end_session(grant.session).await;
        let after = granted(loser, holder).await;
        assert_eq!(loser.open_beside(holder, &after, &[]).await, OpenOutcome::Open);
        loser.end_session(after.session).await;
    }
}

#[tokio::test]
async fn a_row_without_a_seat_is_closed_with_the_opening_on_another_license() {
    let one = Deployment::new(1).await;
    let two = one.another_license(1).await;
    let former = one.seat(1).await;
    one.age(TTL_MS).await;
    let grant = granted(&two, 1).await;
    let seatless = [former.session.as_uuid()];
    assert_eq!(two.open_beside(1, &grant, &seatless).await, OpenOutcome::Open);
    assert_eq!((one.open_rows().await, two.open_rows().await), (vec![], vec![grant.session]));
    assert_eq!(two.open_beside(2, &grant, &[grant.session.as_uuid()]).await, OpenOutcome::Open);
    assert_eq!(two.open_rows().await, [grant.session], "another holder closes no row of this one");
}
