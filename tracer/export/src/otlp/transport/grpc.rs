//! gRPC: a message in a body, and a status in the trailers.

use std::time::Duration;

use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::{BufMut as _, Bytes, BytesMut};
use http::HeaderMap;
use prost::Message as _;

use super::failure::Failure;

/// Returns the body of a request with one message.
pub(super) fn frame(message: &Bytes) -> Result<Bytes, Failure> {
    let mut body = BytesMut::with_capacity(PREFIX + message.len());
    // Not compressed.
    body.put_u8(0);
    body.put_u32(message.len().try_into()?);
    body.put_slice(message);
    Ok(body.freeze())
}

/// Returns the message of a body, if it is whole and not compressed.
pub(super) fn message(body: &Bytes) -> Option<Bytes> {
    let (prefix, message) = body.split_first_chunk::<PREFIX>()?;
    let [0, length @ ..] = prefix else {
        return None;
    };
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    Some(body.slice_ref(message.get(..length)?))
}

/// Returns when a call is to be tried again, by the `RetryInfo` in the details of its status.
pub(super) fn retry_delay(fields: &HeaderMap) -> Option<Duration> {
    let encoded = fields.get("grpc-status-details-bin")?;
    let status = RpcStatus::decode(BASE64.decode(encoded).ok()?.as_slice()).ok()?;
    let info = status
        .details
        .iter()
        .find(|detail| detail.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay?;
    Some(Duration::new(
        delay.seconds.try_into().ok()?,
        delay.nanos.try_into().ok()?,
    ))
}

/// The compressed flag and the length.
const PREFIX: usize = 5;

/// With or without padding, as gRPC allows both.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// `google.rpc.Status`, which is also the body of an error over HTTP.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RpcStatus {
    #[prost(string, tag = "2")]
    pub(super) message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, prost::Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns fields with details of a status.
    pub(super) fn details(seconds: i64) -> HeaderMap {
        let info = RetryInfo {
            retry_delay: Some(Delay { seconds, nanos: 7 }),
        };
        let status = RpcStatus {
            message: "slow down".to_owned(),
            details: vec![Any {
                type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
                value: info.encode_to_vec(),
            }],
        };
        let encoded = BASE64.encode(status.encode_to_vec());
        HeaderMap::from_iter([("grpc-status-details-bin".parse().unwrap(), encoded.parse().unwrap())])
    }

    #[test]
    fn a_message_has_a_prefix() {
        let body = frame(&Bytes::from_static(b"abc")).unwrap();
        assert_eq!(body.as_ref(), b"\0\0\0\0\x03abc");
        assert_eq!(message(&body).unwrap().as_ref(), b"abc");
        for other in [&b""[..], b"\0\0\0\0", b"\0\0\0\0\x04abc", b"\x01\0\0\0\x03abc"] {
            assert_eq!(message(&Bytes::from_static(other)), None);
        }
    }

    #[test]
    fn a_delay_is_in_the_details() {
        assert_eq!(retry_delay(&details(2)), Some(Duration::new(2, 7)));
        assert_eq!(retry_delay(&details(-2)), None);
        assert_eq!(retry_delay(&HeaderMap::new()), None);
    }
}
