//! Four check characters by a Reed–Solomon code over GF(32).
//!
//! A character is an element of GF(32) = GF(2)\[x\] / (x⁵ + x² + 1), whose element α = x generates all 31 non-zero
//! elements. A message m (the most significant symbol first) is followed by the remainder of m(x)·x⁴ divided by
//! g(x) = (x − α)(x − α²)(x − α³)(x − α⁴), so that the whole is a multiple of g.
//!
//! *Why four wrong characters are always noticed.* Suppose t ≤ 4 places differ between two multiples of g. Their
//! difference e(x) = Σ eᵢ·x^pᵢ is a multiple of g too, so e(αʲ) = 0 for j = 1…4: the t unknown eᵢ solve t homogeneous
//! equations whose matrix (α^(j·pᵢ)) is, up to non-zero factors of its columns, a Vandermonde matrix in the α^pᵢ. These
//! differ from each other as long as the whole has at most 31 symbols (ours has 18), so the matrix is invertible and every
//! eᵢ is 0: nothing differed. Two characters that changed places are two wrong characters.

/// Number of check symbols.
pub(super) const LEN: usize = 4;

/// x⁵ = x² + 1 in this field.
const REDUCTION: u8 = 0b10_0101;

/// g(x) without its leading 1, the highest power first.
const GENERATOR: [u8; LEN] = generator();

/// Returns the check symbols of a message. Values above 31 are no symbols; only their lowest five bits count.
pub(super) fn of(message: &[u8]) -> [u8; LEN] {
    let mut remainder = [0; LEN];
    for &symbol in message {
        let factor = (symbol & 31) ^ remainder[0];
        remainder.rotate_left(1);
        remainder[LEN - 1] = 0;
        for (place, coefficient) in GENERATOR.into_iter().enumerate() {
            remainder[place] ^= product(factor, coefficient);
        }
    }
    remainder
}

const fn product(left: u8, right: u8) -> u8 {
    let (mut sum, mut shifted, mut rest) = (0, left, right);
    while rest != 0 {
        if rest & 1 != 0 {
            sum ^= shifted;
        }
        shifted <<= 1;
        if shifted & 32 != 0 {
            shifted ^= REDUCTION;
        }
        rest >>= 1;
    }
    sum
}

const fn generator() -> [u8; LEN] {
    // Multiplied out root by root; `whole[0]` is the coefficient of the highest power.
    let mut whole = [0; LEN + 1];
    whole[0] = 1;
    let (mut degree, mut root) = (0, 1);
    while degree < LEN {
        root = product(root, 2);
        degree += 1;
        let mut place = degree;
        while place > 0 {
            whole[place] ^= product(whole[place - 1], root);
            place -= 1;
        }
    }
    [whole[1], whole[2], whole[3], whole[4]]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Brand, type and body.
    const MESSAGE: usize = 14;

    #[test]
    fn alpha_generates_every_element() {
        let powers: std::collections::BTreeSet<u8> =
            std::iter::successors(Some(1), |&power| Some(product(power, 2))).take(31).collect();
        assert_eq!(powers.into_iter().collect::<Vec<_>>(), (1..32).collect::<Vec<_>>());
    }

    #[test]
    fn a_whole_is_zero_at_every_root() {
        let message: [u8; MESSAGE] = std::array::from_fn(|place| (place * 7 + 3) as u8 & 31);
        let mut root = 1;
        for _ in 0..LEN {
            root = product(root, 2);
            let value = message.into_iter().chain(of(&message)).fold(0, |sum, symbol| product(sum, root) ^ symbol);
            assert_eq!(value, 0);
        }
    }

    /// The code is linear, so two wholes differ in as many places as some whole has symbols that are not zero, and multiplying
    /// by a constant changes no zero: it is enough to try every message of up to four symbols whose first is 1.
    #[test]
    fn no_two_wholes_differ_in_fewer_than_five_places() {
        let alone: Vec<[u32; 32]> = (0..MESSAGE)
            .map(|place| {
                std::array::from_fn(|value| {
                    let mut message = [0; MESSAGE];
                    message[place] = value as u8;
                    u32::from_be_bytes(of(&message))
                })
            })
            .collect();
        for first in 0..MESSAGE {
            smallest(&alone, first + 1, alone[first][1], 1);
        }
    }

    fn smallest(alone: &[[u32; 32]], from: usize, check: u32, weight: usize) {
        let checks = check.to_be_bytes().into_iter().filter(|&symbol| symbol != 0).count();
        assert!(weight + checks > LEN, "{weight} symbols with {checks} check symbols");
        if weight == LEN {
            return;
        }
        for place in from..alone.len() {
            for &more in &alone[place][1..] {
                smallest(alone, place + 1, check ^ more, weight + 1);
            }
        }
    }
}
