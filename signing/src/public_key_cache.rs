//! A public key that is looked up once, and again now and then.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::error::SigningError;
use crate::public_key::PublicKey;

/// Time for which a public key is used without another fetch.
const MAX_AGE: Duration = Duration::from_secs(3600);
/// Time for which a public key that is past its age stays in use after a fetch failed.
const RETRY: Duration = Duration::from_secs(30);

/// The key, and the time of its next fetch; empty until the first fetch succeeds.
#[derive(Debug, Default)]
pub(crate) struct PublicKeyCache(Mutex<Option<(Instant, PublicKey)>>);

impl PublicKeyCache {
    /// Returns the key. One caller fetches it while the others wait: `first` where no key is known, `again` where one is past
    /// its age. Such a key stays in use while fetches fail, because the key of a version never changes.
    pub(crate) async fn get(
        &self,
        now: Instant,
        first: impl Future<Output = Result<PublicKey, SigningError>>,
        again: impl Future<Output = Result<PublicKey, SigningError>>,
    ) -> Result<PublicKey, SigningError> {
        let mut cached = self.0.lock().await;
        let (age, key) = match cached.as_ref() {
            Some((until, key)) if now < *until => return Ok(key.clone()),
            Some((_, old)) => match again.await {
                Ok(key) => (MAX_AGE, key),
                Err(e) => {
                    tracing::warn!("the signing key's public half could not be looked up again: {e}");
                    (RETRY, old.clone())
                }
            },
            None => (MAX_AGE, first.await?),
        };
        *cached = Some((now + age, key.clone()));
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    fn key(kid: &str) -> PublicKey {
        PublicKey { kid: kid.to_owned(), pem: String::new() }
    }

    fn down() -> Result<PublicKey, SigningError> {
        Err(SigningError::Unavailable("down".to_owned()))
    }

    #[tokio::test]
    async fn a_key_past_its_age_serves_on_while_looking_fails_and_is_looked_for_every_half_minute() {
        let (cache, start) = (PublicKeyCache::default(), Instant::now());
        assert!(cache.get(start, ready(down()), pending()).await.is_err(), "nothing is known and nothing is found");
        assert_eq!(cache.get(start, ready(Ok(key("a"))), pending()).await.unwrap(), key("a"));

        let still = start + MAX_AGE - Duration::from_secs(1);
        assert_eq!(cache.get(still, pending(), pending()).await.unwrap(), key("a"), "nobody is asked within its age");

        let stale = start + MAX_AGE;
        assert_eq!(cache.get(stale, pending(), ready(down())).await.unwrap(), key("a"));
        let soon = stale + RETRY - Duration::from_secs(1);
        assert_eq!(cache.get(soon, pending(), pending()).await.unwrap(), key("a"), "a failure isn't repeated at once");

        assert_eq!(cache.get(stale + RETRY, pending(), ready(Ok(key("b")))).await.unwrap(), key("b"));
    }

    #[tokio::test]
    async fn a_caller_that_gives_up_leaves_the_old_key_in_place() {
        let (cache, start) = (PublicKeyCache::default(), Instant::now());
        cache.get(start, ready(Ok(key("a"))), pending()).await.unwrap();
        let looked = tokio::time::timeout(Duration::from_millis(1), cache.get(start + MAX_AGE, pending(), pending()));
        assert!(looked.await.is_err());
        assert_eq!(cache.get(start + MAX_AGE, pending(), ready(down())).await.unwrap(), key("a"));
    }
}
