//! A store's answer whose beginning may have been read ahead.

use bytes::Bytes;
use http::HeaderMap;
use http::StatusCode;

use crate::protocol::http::MediaType;
use crate::upstream::StoreBody;
use crate::upstream::StoreResponse;
use crate::upstream::UpstreamError;

use super::answer;

/// What a store answered.
pub(crate) struct Told {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) media: MediaType,
    pub(crate) body: ToldBody,
}

/// The body of an answer: what was read of it ahead, and the rest.
pub(crate) struct ToldBody {
    ahead: Bytes,
    rest: Option<StoreBody>,
}

impl From<StoreResponse> for Told {
    fn from(response: StoreResponse) -> Self {
        let StoreResponse { status, headers, media, body } = response;
        Self { status, headers, media, body: body.into() }
    }
}

impl From<StoreBody> for ToldBody {
    fn from(body: StoreBody) -> Self {
        Self { ahead: Bytes::new(), rest: Some(body) }
    }
}

impl ToldBody {
    /// The next piece, never empty; `None` after the last.
    ///
    /// # Errors
    /// When the body is not whole.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        if !self.ahead.is_empty() {
            return Ok(Some(std::mem::take(&mut self.ahead)));
        }
        match &mut self.rest {
            Some(body) => body.chunk().await,
            None => Ok(None),
        }
    }

    /// All of the body, which stays to be read again; `None` when it is longer than `most`.
    ///
    /// # Errors
    /// When the body is not whole.
    pub(crate) async fn look_ahead(&mut self, most: usize) -> Result<Option<Bytes>, UpstreamError> {
        let mut read = Vec::new();
        let mut is_whole = true;
        while let Some(piece) = self.chunk().await? {
            read.extend_from_slice(&piece);
            if read.len() > most {
                is_whole = false;
                break;
            }
        }
        self.ahead = read.into();
        Ok(is_whole.then(|| self.ahead.clone()))
    }

    /// Lets go of a body that nobody wants.
    pub(crate) fn discard(self) {
        self.rest.into_iter().for_each(answer::discard);
    }
}
