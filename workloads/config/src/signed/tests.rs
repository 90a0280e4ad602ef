use std::sync::OnceLock;

use proptest::prelude::*;

use super::*;
use crate::producer_documents;
use crate::testing::placement;

fn document() -> TuningDocument {
    let spec = serde_yaml::from_str("{model: WoodOrder, rate: 0.3, errorRate: 0.1}").unwrap();
    producer_documents(&spec, placement("OrderProducer")).tuning
}

/// A key, made once for all cases.
fn key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::generate().unwrap())
}

fn keys() -> VerifyingKeys {
    [key().verifying_key()].into_iter().collect()
}

#[test]
fn what_is_signed_is_believed_and_reads_back() {
    let signed = key().sign(&document()).unwrap();
    assert_eq!(keys().verify(&signed).unwrap(), document());
    let text = serde_json::to_string(&signed).unwrap();
    assert!(text.contains("\"keyId\""), "{text}");
    let read: SignedTuning = serde_json::from_str(&text).unwrap();
    assert_eq!(keys().verify(&read).unwrap(), document());
}

#[test]
fn uid_generation_and_revision_are_signed() {
    let signed = key().sign(&document()).unwrap();
    for (old, new) in [
        ("\"uid\":\"0000-1111\"", "\"uid\":\"0000-2222\""),
        ("\"generation\":3", "\"generation\":4"),
        ("\"revision\":1", "\"revision\":2"),
    ] {
        let document = signed.document.replace(old, new);
        assert_ne!(document, signed.document, "{old}");
        let forged = SignedTuning {
            document,
            ..signed.clone()
        };
        let error = keys().verify(&forged).unwrap_err();
        assert!(
            matches!(error, VerifyError::BadSignature { .. }),
            "{error:?}"
        );
    }
}

#[test]
fn a_key_that_is_not_among_them_is_unknown_also_under_a_known_name() {
    let other = SigningKey::generate().unwrap();
    let signed = other.sign(&document()).unwrap();
    let error = keys().verify(&signed).unwrap_err();
    assert!(matches!(error, VerifyError::UnknownKey { key_id } if key_id == other.key_id()));
    let renamed = SignedTuning {
        key_id: key().key_id(),
        ..signed
    };
    let error = keys().verify(&renamed).unwrap_err();
    assert!(matches!(error, VerifyError::BadSignature { .. }));
}

#[test]
fn a_signature_of_the_bare_document_is_not_enough() {
    let signed = key().sign(&document()).unwrap();
    let bare = key().pair.sign(signed.document.as_bytes());
    let forged = SignedTuning {
        signature: STANDARD.encode(bare),
        ..signed
    };
    assert!(keys().verify(&forged).is_err());
}

#[test]
fn what_is_signed_and_no_tuning_is_malformed() {
    let document = "{}".to_owned();
    let signature = STANDARD.encode(key().pair.sign(&signed_bytes(&document)));
    let signed = SignedTuning {
        document,
        key_id: key().key_id(),
        signature,
    };
    let error = keys().verify(&signed).unwrap_err();
    assert!(matches!(error, VerifyError::Malformed(_)), "{error:?}");
}

#[test]
fn a_key_is_the_same_after_it_was_kept() {
    let kept = SigningKey::from_pkcs8(key().to_pkcs8()).unwrap();
    assert_eq!(kept.verifying_key(), key().verifying_key());
    let signed = kept.sign(&document()).unwrap();
    assert_eq!(signed, key().sign(&document()).unwrap());
    assert_eq!(
        SigningKey::from_pkcs8(b"no key").unwrap_err(),
        SigningKeyError::Pkcs8
    );
}

#[test]
fn a_key_shows_nothing_but_its_name() {
    let id = key().key_id();
    assert_eq!(id.len(), 16);
    assert_eq!(format!("{:?}", key()), format!("SigningKey({id:?})"));
}

/// The first test vector of RFC 8032, as `openssl` writes such a key: without its public half.
#[test]
fn a_key_of_another_tool_is_named_by_its_public_half() {
    let secret = STANDARD
        .decode("MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g")
        .unwrap();
    let public = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let key = SigningKey::from_pkcs8(&secret).unwrap();
    let keys: VerifyingKeys = [key.verifying_key()].into_iter().collect();
    let expected = format!(r#"{{"keys":{{"21fe31dfa154a261":"{public}"}}}}"#);
    assert_eq!(serde_json::to_string(&keys).unwrap(), expected);
    assert_eq!(
        serde_json::from_str::<VerifyingKeys>(&expected).unwrap(),
        keys
    );
}

#[test]
fn keys_that_are_none_or_under_another_name_are_refused() {
    let public = serde_json::to_value(key().verifying_key()).unwrap();
    for (name, key, says) in [
        ("0123456789abcdef", public, "the key under"),
        ("0123456789abcdef", "AAAA".into(), "32 bytes, this one 3"),
        ("0123456789abcdef", "?".into(), "Invalid"),
    ] {
        let text = serde_json::json!({"keys": {name: key}}).to_string();
        let error = serde_json::from_str::<VerifyingKeys>(&text).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

/// The text with one byte replaced by another one that keeps it text.
fn with_changed_byte(text: &str, at: prop::sample::Index, by: u8) -> Option<String> {
    let mut bytes = text.as_bytes().to_vec();
    let byte = &mut bytes[at.index(text.len())];
    *byte ^= by;
    String::from_utf8(bytes).ok()
}

proptest! {
    #[test]
    fn any_changed_byte_is_refused(at: prop::sample::Index, by in 1_u8..128, field in 0..3) {
        let mut signed = key().sign(&document()).unwrap();
        let text = match field {
            0 => &mut signed.document,
            1 => &mut signed.key_id,
            _ => &mut signed.signature,
        };
        if let Some(changed) = with_changed_byte(text, at, by) {
            *text = changed;
            prop_assert!(keys().verify(&signed).is_err());
        }
    }

    #[test]
    fn no_text_is_believed_unsigned(document: String, signature in prop::array::uniform32(any::<u8>())) {
        let signature = STANDARD.encode([signature, signature].concat());
        let signed = SignedTuning { document, key_id: key().key_id(), signature };
        prop_assert!(keys().verify(&signed).is_err());
    }
}
