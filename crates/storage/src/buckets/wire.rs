//! HTTP to a bucket's server: whom it trusts, how long it waits, and how much of an answer it reads.

use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt, Limited};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};

use crate::buckets::{BucketAddress, BucketProblem};
use crate::tls;

/// How long a connection may take to come about.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long one request may take, with the object that it sends or brings.
const REQUEST_TIME_MAX: Duration = Duration::from_mins(1);
/// Most of an answer that is read where it is no object: a list names at most 1,000 keys of at most
/// 1,024 bytes each, and an error is a few lines.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Sends requests. The library takes it as its way to connect.
#[derive(Debug, Clone)]
pub(super) struct Wire(HttpClient);

impl Wire {
    /// To the server at this address.
    pub(super) fn to(address: &BucketAddress) -> Result<Self, BucketProblem> {
        let tls = tls::trusting(address.authorities())
            .map_err(|error| BucketProblem::Setup(error.to_string()))?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIME_MAX)
            .timeout(REQUEST_TIME_MAX)
            .https_only(address.is_encrypted())
            .build()
            .map_err(|error| BucketProblem::Setup(error.to_string()))?;
        Ok(Self(HttpClient::new(http)))
    }
}

impl HttpConnector for Wire {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Wire {
    /// Bounds what is read of all answers but objects, whose reader has a bound of its own.
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let is_list = request.uri().query().is_some();
        let response = self.0.execute(request).await?;
        let is_object = response.status().is_success() && !is_list;
        if is_object {
            return Ok(response);
        }
        Ok(response.map(|body| {
            let bounded = Limited::new(body, ANSWER_BYTES_MAX)
                .map_err(|error| HttpError::new_boxed(HttpErrorKind::Decode, error));
            HttpResponseBody::new(bounded)
        }))
    }
}
