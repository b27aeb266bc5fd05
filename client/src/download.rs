//! Downloads of files that are not JSON, and may be long.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use crate::cloud::{ANSWER_TIMEOUT, Cloud, MAX_ANSWER_LEN};
use crate::{Address, Error, Fault, UpdateError, http_failure};

/// Timeout of a file of some megabytes, over the slowest line in use.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Timeout of a file that is no longer than an answer of the cloud.
const SHORT_TIMEOUT: Duration = Duration::from_secs(10);

impl Cloud {
    /// Fetches a file of at most this length, in bytes.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it does not arrive, [`Error::Update`] when it is longer or can't be written.
    pub(crate) fn download(&self, from: &Address, max_len: u64, into: &mut impl Write) -> Result<(), Error> {
        let outage = |(cause, fault)| Error::outage(from, cause, fault);
        let timeout = if max_len > MAX_ANSWER_LEN { TIMEOUT } else { SHORT_TIMEOUT };
        let request = self.agent(from)?.get(from.as_str()).header("accept", "*/*");
        let request = request.config().timeout_global(Some(timeout));
        let answer = request.timeout_recv_response(Some(ANSWER_TIMEOUT)).build().call();
        let mut answer = answer.map_err(|error| outage(http_failure::cause(&error)))?;
        if !answer.status().is_success() {
            return Err(outage((format!("HTTP status {}", answer.status().as_u16()), Fault::Cloud)));
        }
        let mut body = answer.body_mut().with_config().limit(u64::MAX).reader();
        let mut some = [0; 16 * 1024];
        let mut left = max_len;
        loop {
            let count = match body.read(&mut some) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(outage(http_failure::cause(&ureq::Error::from(error)))),
            };
            left = left.checked_sub(count as u64).ok_or_else(|| UpdateError::TooLong { url: from.to_string() })?;
            let written = into.write_all(&some[..count]);
            written.map_err(|cause| UpdateError::File { path: "The new version".into(), cause })?;
        }
    }
}
