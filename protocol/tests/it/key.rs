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

/// Characters that may stand anywhere in a key and don't change it.
const INVISIBLE: [&str; 16] = [
    "\u{feff}", "\u{200b}", "\u{200d}", "\u{2060}", "\u{ad}", "\u{a0}", "\u{202f}", "\u{3000}", "\u{200e}", "\u{202e}",
    "\u{fe0f}", " ", "\t", "\r\n", "\n> ", "\n>> > ",
];

/// Text around a key that was pasted from a sentence, a list, a quotation or a chat.
const AROUND: [(&str, &str); 16] = [
    ("", ""),
    ("\"", "\""),
    ("\u{201e}", "\u{201c}"),
    ("\u{2018}", "\u{2019}"),
    ("\u{ab} ", " \u{bb}"),
    ("`", "`"),
    ("```\n", "\n```"),
    ("**", "**"),
    ("<", ">"),
    ("(", ")."),
    ("> ", ""),
    ("\u{2022} ", ";"),
    ("- ", ","),
    ("\u{feff}", "\n"),
    ("\u{300c}", "\u{300d}\u{3002}"),
    ("=", "!"),
];

const HYPHENS: [char; 11] = [
    '-', '\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2212}', '\u{fe63}', '\u{ff0d}', '\u{30fc}',
    '\u{96}',
];

/// A text with each character written in one of its other forms, and something invisible before some of them.
fn decorated(text: &str, forms: &[(Index, Index)], (before, behind): (&str, &str)) -> String {
    let chars = text.chars().zip(forms).map(|(char, (form, space))| {
        let full_width = char::from_u32(u32::from(char) + 0xfee0).unwrap();
        let char = match char {
            '-' => *form.get(&HYPHENS),
            char => *form.get(&[char, char.to_ascii_lowercase(), full_width]),
        };
        let space = if space.index(4) == 0 { *space.get(&INVISIBLE) } else { "" };
        format!("{space}{char}")
    });
    [before.to_owned(), chars.collect(), behind.to_owned()].concat()
}

#[test]
fn what_mail_chat_and_word_processors_do_to_a_key_is_forgiven() {
    let (key, text) = (LicenseKey::parse(KNOWN[0]).unwrap(), KNOWN[0]);
    let full_width = text.chars().map(|char| char::from_u32(u32::from(char) + 0xfee0).unwrap()).collect();
    for pasted in [
        format!("\u{feff}{text}"),
        text.replace('-', "\u{2011}"),
        text.replace('-', " \u{2013} "),
        full_width,
        format!("\u{201c}{text}\u{201d}."),
        text.replace("E9D2", "\r\nE9D2"),
        format!("> {}", text.replace("E9D2", "\n> E9D2")),
        text.chars().flat_map(|char| [char, '\u{200b}']).collect(),
        text.to_lowercase().replace('i', "\u{131}"),
    ] {
        assert_eq!(LicenseKey::parse(&pasted).as_ref(), Ok(&key), "{pasted:?}");
    }
}

proptest! {
    #[test]
    fn any_decoration_leaves_the_key_and_its_check(
        (brand, key_type) in kind(),
        forms in prop::collection::vec((any::<Index>(), any::<Index>()), 35),
        around in select(&AROUND[..]),
        (place, symbol) in (any::<Index>(), any::<Index>()),
    ) {
        let key = LicenseKey::generate(brand, key_type);
        let text = key.to_string();
        prop_assert_eq!(LicenseKey::parse(&decorated(&text, &forms, around)).unwrap(), key);

        let places = symbol_places(&text);
        let wrong = with_character(&text, places[place.index(places.len())], symbol.get(ALPHABET.as_bytes()).to_owned().into());
        let read = LicenseKey::parse(&decorated(&wrong, &forms, around));
        prop_assert_eq!(read.is_ok(), wrong == text, "{}", wrong);
    }

    #[test]
    fn no_visible_character_is_taken_for_decoration(
        (brand, key_type) in kind(), character in any::<char>(), place in any::<Index>(),
    ) {
        let text = LicenseKey::generate(brand, key_type).to_string();
        let invisible = character.is_whitespace() || character.is_control() || INVISIBLE.contains(&&*character.to_string());
        let formatting = matches!(
            u32::from(character),
            0x34f | 0x61c | 0x115f | 0x1160 | 0x180b..=0x180f | 0x200b..=0x206f | 0x2800 | 0x3164 | 0xfe00..=0xfe0f | 0xffa0
                | 0xe0000..=0xe0fff
        );
        let place = 1 + place.index(text.len() - 1);
        let more = format!("{}{character}{}", &text[..place], &text[place..]);
        prop_assert!(invisible || formatting || LicenseKey::parse(&more).is_err(), "{}", more);
        let other: String = text.chars().enumerate().map(|(at, char)| if at == place { character } else { char }).collect();
        if let Ok(read) = LicenseKey::parse(&other) {
            prop_assert_eq!(read.to_string(), text);
        }
    }

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
