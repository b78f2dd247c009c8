//! The bytes of all files, in blocks of one size: chains of block numbers, as in a FAT.
//!
//! ```text
//!  Chain { first: 3, size: 9000 }      next[3] = 7, next[7] = 4, next[4] = 0
//!          block 3 ------> block 7 ------> block 4        (0: the end; block 0 is never used)
//! ```
//!
//! Invariant: a chain has as many blocks as its size needs, bytes after its size in its last block
//! are zero, and every block is in one chain or free.

use qga_core::Errno;

/// Bytes of a block.
pub const BLOCK_BYTES: usize = 4096;
/// How many blocks there are, the unused block 0 included: 1 MiB. A guest that is small by design,
/// in memory that costs the hypervisor nothing before it is written to.
pub const BLOCKS: usize = 257;
/// Largest file, and all that fits into all files.
pub const FILE_BYTES_MAX: usize = (BLOCKS - 1) * BLOCK_BYTES;

/// Where a file's bytes are.
#[derive(Clone, Copy, Default, Debug)]
pub struct Chain {
    first: u16,
    size: u32,
}

impl Chain {
    /// No bytes.
    pub const EMPTY: Chain = Chain { first: 0, size: 0 };

    /// How many bytes it has.
    pub fn size(&self) -> usize {
        self.size as usize
    }
}

/// All blocks.
pub struct Store {
    next: [u16; BLOCKS],
    used: [bool; BLOCKS],
    bytes: [[u8; BLOCK_BYTES]; BLOCKS],
}

impl Store {
    /// A store in which every block is free.
    pub const fn new() -> Self {
        Store { next: [0; BLOCKS], used: [false; BLOCKS], bytes: [[0; BLOCK_BYTES]; BLOCKS] }
    }

    /// Copies bytes of a chain from `at` on; how many, 0 at the end or after it.
    pub fn read(&self, chain: &Chain, at: u64, into: &mut [u8]) -> usize {
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(chain.size());
        let wanted = into.len().min(chain.size() - at);
        let mut done = 0;
        let mut block = self.walk(chain, at / BLOCK_BYTES);
        let mut from = at % BLOCK_BYTES;
        while done < wanted {
            let bytes = self.bytes.get(usize::from(block)).and_then(|bytes| bytes.get(from..));
            let rest = into.get_mut(done..wanted);
            let (Some(bytes), Some(rest)) = (bytes, rest) else { break };
            done += copy(bytes, rest);
            (block, from) = (self.follow(block), 0);
        }
        done
    }

    /// Writes bytes into a chain from `at` on and lengthens it as needed, with zeros before `at`;
    /// how many. Errors: EFBIG beyond [`FILE_BYTES_MAX`], ENOSPC when not one byte fits.
    pub fn write(&mut self, chain: &mut Chain, at: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let at = usize::try_from(at).ok().filter(|&at| at < FILE_BYTES_MAX).ok_or(Errno::FBIG)?;
        let end = at.saturating_add(bytes.len()).min(FILE_BYTES_MAX);
        let room = self.lengthen(chain, end);
        if room <= at {
            // Blocks that were taken on the way there are of no use: the file is as long as before.
            self.shorten(chain, chain.size());
            return if bytes.is_empty() { Ok(0) } else { Err(Errno::NOSPC) };
        }
        let end = end.min(room);
        let mut done = 0;
        let mut block = self.walk(chain, at / BLOCK_BYTES);
        let mut from = at % BLOCK_BYTES;
        while at + done < end {
            let place = self.bytes.get_mut(usize::from(block)).and_then(|b| b.get_mut(from..));
            let rest = bytes.get(done..end - at);
            let (Some(place), Some(rest)) = (place, rest) else { break };
            done += copy(rest, place);
            (block, from) = (self.follow(block), 0);
        }
        chain.size = chain.size.max((at + done) as u32);
        Ok(done)
    }

    /// Empties a chain.
    pub fn clear(&mut self, chain: &mut Chain) {
        self.shorten(chain, 0);
        *chain = Chain::EMPTY;
    }

    /// Adds blocks until the chain has room for `size` bytes, or none is free; how much room it
    /// has.
    fn lengthen(&mut self, chain: &mut Chain, size: usize) -> usize {
        let mut count = chain.size().div_ceil(BLOCK_BYTES);
        let mut last = match count {
            0 => 0,
            count => self.walk(chain, count - 1),
        };
        while count * BLOCK_BYTES < size {
            let Some(block) = self.take() else { break };
            match last {
                0 => chain.first = block,
                last => self.set_next(last, block),
            }
            last = block;
            count += 1;
        }
        count * BLOCK_BYTES
    }

    /// Frees the blocks after `size` bytes.
    fn shorten(&mut self, chain: &mut Chain, size: usize) {
        let kept = size.div_ceil(BLOCK_BYTES);
        let mut block = self.walk(chain, kept);
        match kept {
            0 => chain.first = 0,
            kept => {
                let last = self.walk(chain, kept - 1);
                self.set_next(last, 0);
            }
        }
        while block != 0 {
            let next = self.follow(block);
            self.set_next(block, 0);
            if let Some(used) = self.used.get_mut(usize::from(block)) {
                *used = false;
            }
            block = next;
        }
    }

    /// A free block, zeroed.
    fn take(&mut self) -> Option<u16> {
        let free = self.used.iter().skip(1).position(|used| !used)? + 1;
        *self.used.get_mut(free)? = true;
        self.bytes.get_mut(free)?.fill(0);
        Some(free as u16)
    }

    /// The block number `count` steps after the chain's first.
    fn walk(&self, chain: &Chain, count: usize) -> u16 {
        (0..count).fold(chain.first, |block, _| self.follow(block))
    }

    fn follow(&self, block: u16) -> u16 {
        self.next.get(usize::from(block)).copied().unwrap_or(0)
    }

    fn set_next(&mut self, block: u16, next: u16) {
        if let Some(place) = self.next.get_mut(usize::from(block)) {
            *place = next;
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Store::new()
    }
}

/// Copies as much as fits; how much. `copy_from_slice` would bring its panic along, a loop is a
/// tenth as fast.
pub(super) fn copy(from: &[u8], into: &mut [u8]) -> usize {
    let len = from.len().min(into.len());
    // SAFETY: both have `len` bytes, and one of them is exclusively ours, so they do not overlap.
    unsafe { core::ptr::copy_nonoverlapping(from.as_ptr(), into.as_mut_ptr(), len) };
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Box<Store> {
        // SAFETY: an empty store is all zero. In place, because it is larger than a test's stack.
        unsafe { Box::new_zeroed().assume_init() }
    }

    fn bytes(store: &Store, chain: &Chain) -> Vec<u8> {
        let mut bytes = vec![0xEE; chain.size() + 10];
        let len = store.read(chain, 0, &mut bytes);
        bytes.truncate(len);
        bytes
    }

    #[test]
    fn bytes_come_back_across_blocks() {
        let mut store = empty();
        let (mut one, mut two) = (Chain::EMPTY, Chain::EMPTY);
        let (mut expected_one, mut expected_two) = (Vec::new(), Vec::new());
        for round in 0..40u8 {
            let piece = vec![round; 700];
            let at = expected_one.len() as u64;
            assert_eq!(store.write(&mut one, at, &piece), Ok(700));
            assert_eq!(store.write(&mut two, at, &piece[..350]), Ok(350));
            expected_one.extend_from_slice(&piece);
            expected_two.resize(usize::from(round) * 700, 0);
            expected_two.extend_from_slice(&piece[..350]);
        }
        assert_eq!(bytes(&store, &one), expected_one);
        assert_eq!(bytes(&store, &two), expected_two);
        store.clear(&mut one);
        assert_eq!((bytes(&store, &one), one.size()), (Vec::new(), 0));
        assert_eq!(bytes(&store, &two), expected_two);
    }

    #[test]
    fn a_full_store_says_so_and_recovers() {
        let mut store = empty();
        let (mut large, mut small) = (Chain::EMPTY, Chain::EMPTY);
        assert_eq!(store.write(&mut small, 0, b"x"), Ok(1));
        let whole = vec![7; FILE_BYTES_MAX];
        let room = FILE_BYTES_MAX - BLOCK_BYTES;
        assert_eq!(store.write(&mut large, 0, &whole), Ok(room), "as much as fits");
        assert_eq!(store.write(&mut large, room as u64, b"y"), Err(Errno::NOSPC));
        assert_eq!(store.write(&mut large, FILE_BYTES_MAX as u64, b"y"), Err(Errno::FBIG));
        assert_eq!(store.write(&mut small, 1, &whole[..BLOCK_BYTES]), Ok(BLOCK_BYTES - 1));
        assert_eq!(store.write(&mut small, u64::MAX, b"y"), Err(Errno::FBIG));
        store.clear(&mut large);
        assert_eq!(store.write(&mut small, BLOCK_BYTES as u64, &whole), Ok(room));
    }

    #[test]
    fn a_write_that_does_not_fit_takes_nothing() {
        let mut store = empty();
        let (mut one, mut two) = (Chain::EMPTY, Chain::EMPTY);
        assert_eq!(store.write(&mut one, 0, &[1; 10 * BLOCK_BYTES]), Ok(10 * BLOCK_BYTES));
        let far = (FILE_BYTES_MAX - 1) as u64;
        assert_eq!(store.write(&mut two, far, b"z"), Err(Errno::NOSPC));
        assert_eq!(two.size(), 0);
        let rest = FILE_BYTES_MAX - 10 * BLOCK_BYTES;
        let end = one.size() as u64;
        assert_eq!(store.write(&mut one, end, &vec![2; rest]), Ok(rest));
    }

    #[test]
    fn what_was_there_before_is_not_seen() {
        let mut store = empty();
        let mut chain = Chain::EMPTY;
        assert_eq!(store.write(&mut chain, 0, &[9; 3 * BLOCK_BYTES]), Ok(3 * BLOCK_BYTES));
        store.clear(&mut chain);
        assert_eq!(store.write(&mut chain, 5000, b"end"), Ok(3));
        assert_eq!(bytes(&store, &chain)[..5000], [0; 5000]);
    }
}
