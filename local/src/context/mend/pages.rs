//! Pages of a database with those of its log in their places, as SQLite would see them, also where it refuses to look.

/// The first bytes of a database file.
const MAGIC: &[u8] = b"SQLite format 3\0";

const PAGE: usize = 4096;
const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// Returns the pages with those of the log, as far as these can be distinguished from garbage.
pub(super) fn as_they_are(main: &[u8], log: &[u8]) -> Vec<u8> {
    let mut pages = main.to_vec();
    pages.resize(pages.len().next_multiple_of(PAGE), 0);
    let salt = log.get(16..24).unwrap_or_default();
    let Some(frames) = log.get(LOG_HEADER..) else { return without_log(pages) };
    let frames: Vec<&[u8]> =
        frames.chunks_exact(FRAME_HEADER + PAGE).take_while(|frame| frame[8..16] == *salt).collect();
    // Frames behind the last commit are an incomplete change.
    let end = frames.iter().rposition(|frame| number(frame, 4) > 0).map_or(0, |last| last + 1);
    // Each commit has the number of pages after it.
    let count = frames[..end].iter().map(|frame| number(frame, 4)).max().unwrap_or_default();
    for frame in &frames[..end] {
        let page = number(frame, 0);
        if (1..=count).contains(&page) {
            let at = (page - 1) * PAGE;
            if pages.len() < at + PAGE {
                pages.resize(at + PAGE, 0);
            }
            pages[at..at + PAGE].copy_from_slice(&frame[FRAME_HEADER..]);
        }
    }
    without_log(pages)
}

/// Replaces the list of tables (`sqlite_schema`) by a new database's, since all databases of one version have it on the same
/// pages.
pub(super) fn with_beginning(main: &[u8], log: &[u8], fresh: &[u8]) -> Vec<u8> {
    let mut pages = as_they_are(main, log);
    for page in pages_of_list(fresh) {
        let Some(at) = page.checked_sub(1).map(|before| before * PAGE) else { continue };
        let Some(theirs) = fresh.get(at..at + PAGE) else { continue };
        if pages.len() < at + PAGE {
            pages.resize(at + PAGE, 0);
        }
        pages[at..at + PAGE].copy_from_slice(theirs);
    }
    without_log(pages)
}

/// Returns the pages that hold a database's list of its tables: the first, and those that it refers to if the list needs
/// more.
fn pages_of_list(database: &[u8]) -> Vec<usize> {
    const HEADER: usize = 100;
    const NAMES_OTHERS: u8 = 0x05;
    let mut pages = vec![1];
    if database.get(HEADER) == Some(&NAMES_OTHERS) {
        let short = |at: usize| usize::from(u16::from_be_bytes([database[at], database[at + 1]]));
        let cells = (0..short(HEADER + 3)).map(|cell| short(HEADER + 12 + 2 * cell));
        pages.extend(cells.map(|at| number(database, at)));
        pages.push(number(database, HEADER + 8));
    }
    pages
}

/// Writes into the header that there is no log, and the number of pages.
fn without_log(mut pages: Vec<u8>) -> Vec<u8> {
    let count = u32::try_from(pages.len() / PAGE).unwrap_or(u32::MAX).to_be_bytes();
    if pages.starts_with(MAGIC) && pages.len() >= PAGE {
        pages[18..20].copy_from_slice(&[1, 1]);
        pages[28..32].copy_from_slice(&count);
        // SQLite trusts the number of pages only if these two change counters are the same.
        pages.copy_within(24..28, 92);
    }
    pages
}

fn number(bytes: &[u8], at: usize) -> usize {
    let bytes = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
    usize::try_from(u32::from_be_bytes(bytes)).unwrap_or_default()
}
