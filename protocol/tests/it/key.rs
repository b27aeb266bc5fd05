use proptest::prelude::*;
use proptest::sample::{Index, select};
use protocol::key::{Brand, KeyError, KeyType, LicenseKey, MAX_INPUT_LEN};

/// Everything that the parser takes for a symbol, once.
const ALPHABET: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

fn all_kinds() -> impl Iterator<Item = (Brand, KeyType)> + Clone {
    Brand::ALL.into_iter().flat_map(|brand| KeyType::ALL.into_iter().map(move |key_type| (brand, key_type)))
}

fn kind() -> impl Strategy<Value = (Brand, KeyType)> {
    select(all_kinds().collect::<Vec<_>>())
}

/// The places of body and check characters in a key's text.
fn symbol_places(text: &str) -> Vec<usize> {
    let body = text.len() - 17;
    (body..body + 12).chain(body + 13..body + 17).collect()
}

fn with_character(text: &str, place: usize, character: char) -> String {
    let mut changed: Vec<char> = text.chars().collect();
    changed[place] = character;
    changed.into_iter().collect()
}

#[test]
fn a_made_key_reads_back_as_itself_for_every_brand_and_type() {
    for (brand, key_type) in all_kinds() {
        let key = LicenseKey::generate(brand, key_type);
        let text = key.to_string();
        let read = LicenseKey::parse(&text).unwrap();
        assert_eq!(read, key);
        assert_eq!((read.brand(), read.key_type()), (brand, key_type));
        assert!(text.starts_with(&format!("{}-{}-", brand.as_str(), key_type.as_str())), "{text}");
    }
}

#[test]
fn the_words_in_keys_are_those_of_the_product() {
    assert_eq!(Brand::ALL.map(Brand::as_str), ["CODITECT", "CSFW"]);
    assert_eq!(KeyType::ALL.map(KeyType::as_str), ["FREE", "PRO", "TEAM", "BUSINESS", "ENT"]);
}

/// Keys are in people's hands: what is a key today is one for ever. These were worked out by another program.
#[test]
fn keys_that_were_sold_stay_keys() {
    for known in KNOWN {
        assert_eq!(LicenseKey::parse(known).unwrap().to_string(), known);
    }
}

const KNOWN: [&str; 4] = [
    "CODITECT-PRO-A7F3E9D2C4B1-D3W4",
    "CSFW-BUSINESS-0123456789AB-SM2N",
    "CODITECT-FREE-000000000000-0000",
    "CODITECT-ENT-ZYXWVTSRQPNM-01TE",
];

#[test]
fn case_space_and_lookalikes_are_forgiven() {
    let key = LicenseKey::parse(KNOWN[2]).unwrap();
    let typed = format!("  {}\t\n", key.to_string().to_lowercase().replace("000000000000", "oOoOoO0o0O0o"));
    assert_eq!(LicenseKey::parse(&typed).unwrap(), key);

    let ones = LicenseKey::parse(KNOWN[1]).unwrap();
    for like_one in ["I", "i", "L", "l"] {
        assert_eq!(LicenseKey::parse(&ones.to_string().replacen("01", &format!("0{like_one}"), 1)).unwrap(), ones);
    }
}

#[test]
fn every_single_wrong_character_is_noticed() {
    for (brand, key_type) in all_kinds() {
        let text = LicenseKey::generate(brand, key_type).to_string();
        for place in 0..text.len() {
            for character in (' '..='~').filter(|c| text.as_bytes()[place] != c.to_ascii_uppercase() as u8) {
                let wrong = with_character(&text, place, character);
                // O for 0 is not wrong, it is another way to write the same.
                if let Ok(read) = LicenseKey::parse(&wrong) {
                    assert!("OIL".contains(character.to_ascii_uppercase()), "{wrong} passed for {text}");
                    assert_eq!(read.to_string(), text);
                }
            }
        }
    }
}

#[test]
fn another_type_or_brand_is_noticed() {
    for (brand, key_type) in all_kinds() {
        let text = LicenseKey::generate(brand, key_type).to_string();
        let rest = &text[text.len() - 17..];
        for (other_brand, other_type) in all_kinds().filter(|&other| other != (brand, key_type)) {
            let wrong = format!("{}-{}-{rest}", other_brand.as_str(), other_type.as_str());
            assert_eq!(LicenseKey::parse(&wrong), Err(KeyError::Mistyped), "{wrong} passed for {text}");
        }
    }
}

#[test]
fn every_two_characters_that_changed_places_are_noticed() {
    for (brand, key_type) in all_kinds().cycle().take(100) {
        let text = LicenseKey::generate(brand, key_type).to_string();
        for left in 0..text.len() {
            for right in left + 1..text.len() {
                let mut swapped = text.clone().into_bytes();
                swapped.swap(left, right);
                let swapped = String::from_utf8(swapped).unwrap();
                assert!(swapped == text || LicenseKey::parse(&swapped).is_err(), "{swapped} passed for {text}");
            }
        }
    }
}

proptest! {
    #[test]
    fn up_to_four_wrong_characters_are_noticed(
        (brand, key_type) in kind(),
        wrong in prop::collection::vec((any::<Index>(), any::<Index>()), 1..=4),
    ) {
        let text = LicenseKey::generate(brand, key_type).to_string();
        let places = symbol_places(&text);
        let changed = wrong.iter().fold(text.clone(), |changed, (place, character)| {
            let character = ALPHABET.as_bytes()[character.index(ALPHABET.len())];
            with_character(&changed, places[place.index(places.len())], character.into())
        });
        if changed == text {
            prop_assert!(LicenseKey::parse(&changed).is_ok());
        } else {
            prop_assert_eq!(LicenseKey::parse(&changed), Err(KeyError::Mistyped));
        }
    }

    #[test]
    fn any_text_is_answered_and_what_passes_is_canonical(text in ".{0,60}") {
        if let Ok(key) = LicenseKey::parse(&text) {
            prop_assert_eq!(LicenseKey::parse(&key.to_string()).unwrap(), key);
        }
    }
}

#[test]
fn each_mistake_is_named() {
    let long = "A".repeat(MAX_INPUT_LEN + 1);
    let cases = [
        ("", KeyError::Empty),
        (" \n ", KeyError::Empty),
        (&long, KeyError::TooLong),
        ("ACME-PRO-A7F3E9D2C4B1-8F2A", KeyError::UnknownBrand),
        ("CODITECT", KeyError::Shape),
        ("CODITECT-PRO", KeyError::Shape),
        ("CODITECT-GOLD-A7F3E9D2C4B1-8F2A", KeyError::UnknownType),
        ("CODITECT-PRO-A7F3E9D2C4B18F2A", KeyError::Shape),
        ("CODITECT-PRO-A7F3-E9D2-C4B1-8F2A", KeyError::Shape),
        ("CODITECT-ENT-ACME-50-20271231-8F2A11C0DE11C0DE", KeyError::NeedsLicenseFile),
        ("CODITECT-PRO-A7F3E9D2C4B-8F2A", KeyError::BodyLength),
        ("CODITECT-PRO-A7F3E9D2C4B11-8F2A", KeyError::BodyLength),
        ("CODITECT-PRO-A7F3E9D2C4B1-8F2", KeyError::CheckLength),
        ("CODITECT-PRO-A7F3E9D2C4B1-8F2AA", KeyError::CheckLength),
        ("CODITECT-PRO-A7F3E9D2C4BU-8F2A", KeyError::Character('U')),
        ("CODITECT-PRO-A7F3E9D2C4B1-8F2é", KeyError::Character('é')),
        ("CODITECT-PRO-A7F3E9D2C4B1-0001", KeyError::Mistyped),
    ];
    for (text, error) in cases {
        assert_eq!(LicenseKey::parse(text), Err(error), "{text}");
        assert!(error.to_string().ends_with('.'), "{error}");
    }
}

#[test]
fn a_key_is_shown_only_where_it_is_asked_for() {
    let key = LicenseKey::parse(KNOWN[0]).unwrap();
    assert_eq!(key.redacted(), "CODITECT-PRO-A7F3…");
    assert_eq!(format!("{key:?}"), "LicenseKey(CODITECT-PRO-A7F3…)");
}

#[test]
fn made_keys_use_every_character_in_every_place() {
    let texts: Vec<String> =
        (0..2000).map(|_| LicenseKey::generate(Brand::Coditect, KeyType::Pro).to_string()).collect();
    for place in symbol_places(&texts[0]) {
        let seen: std::collections::BTreeSet<u8> = texts.iter().map(|text| text.as_bytes()[place]).collect();
        assert_eq!(seen.len(), 32, "place {place}");
    }
}
