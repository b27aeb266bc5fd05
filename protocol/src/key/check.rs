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

/// How many check symbols there are.
pub const LEN: usize = 4;

/// x⁵ = x² + 1 in this field.
const REDUCTION: u8 = 0b10_0101;

/// g(x) without its leading 1, the highest power first.
const GENERATOR: [u8; LEN] = generator();

/// The check symbols of a message. Values above 31 are no symbols; only their lowest five bits count.
pub fn of(message: &[u8]) -> [u8; LEN] {
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
