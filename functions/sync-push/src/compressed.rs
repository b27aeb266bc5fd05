//! A body that may be compressed, and is bounded in size both compressed and decompressed.

use std::io::Read;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use common::memory::{Reserved, WORK};
use common::{Problem, body};
use protocol::wire::MAX_PUSH_BYTES;

/// Maximum window of the zstd decoder, as a power of two: 8 MiB, which RFC 8878 recommends that every decoder support.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Memory that a push takes while it is read, checked and written to Postgres, as a multiple of its length.
const COPIES: usize = 4;

/// A JSON body's bytes, decompressed, and the memory that working on them takes.
#[derive(Debug)]
pub(crate) struct Compressed(pub(crate) Bytes, pub(crate) Reserved);

impl<S: Send + Sync> FromRequest<S> for Compressed {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let encoding = request.headers().get(header::CONTENT_ENCODING).map(|v| v.as_bytes().to_ascii_lowercase());
        let bytes = body::read_json(request, MAX_PUSH_BYTES).await?;
        match encoding.as_deref() {
            None | Some(b"" | b"identity") => {
                let memory = WORK.reserve(bytes.len() * COPIES).await?;
                Ok(Self(bytes, memory))
            }
            Some(b"gzip" | b"x-gzip") => {
                let memory = WORK.reserve(MAX_PUSH_BYTES * COPIES).await?;
                read_whole(flate2::read::MultiGzDecoder::new(&bytes[..]), memory)
            }
            Some(b"zstd") => {
                let memory = WORK.reserve(MAX_PUSH_BYTES * COPIES).await?;
                let mut decoder = zstd::stream::read::Decoder::with_buffer(&bytes[..]).map_err(broken)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(broken)?;
                read_whole(decoder, memory)
            }
            Some(_) => Err(Problem::unsupported_encoding()),
        }
    }
}

/// Decompresses a body, and stops as soon as it is too large, however small it was compressed. Memory that is not needed is
/// given back.
fn read_whole(decoder: impl Read, mut memory: Reserved) -> Result<Compressed, Problem> {
    let mut bytes = Vec::new();
    decoder.take(MAX_PUSH_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(broken)?;
    if bytes.len() > MAX_PUSH_BYTES {
        Err(Problem::body_too_large(MAX_PUSH_BYTES))
    } else {
        memory.shrink(bytes.len() * COPIES);
        Ok(Compressed(bytes.into(), memory))
    }
}

fn broken(_: std::io::Error) -> Problem {
    Problem::malformed_body("The body can't be decompressed. Compress it again, or send it as it is.")
}
