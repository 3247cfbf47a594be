//! A checkpoint as bytes: a review's state as one object of the archive.

use fleetwarden_aws::Error;
use serde::Serialize;

use crate::snapshot::ENTRY_BYTES;
use crate::snapshot::Entry;
use crate::state::Is;
use crate::state::Listing;
use crate::state::State;
use crate::state::Want;

const IS: [Is; 6] = [Is::Missing, Is::Fine, Is::Stale, Is::ByHand, Is::Taken, Is::Done];

impl State {
    /// The state as one object: a line of JSON, then what is too much for it. It can be as large as all else in
    /// memory, so it is written once, to where it stays.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Listing { seen, made, wanted, surplus, .. } = &self.listing;
        let names: usize = wanted.values().map(|want| want.name.len() + 24).sum();
        let entries = (seen.len() + made.len()) * ENTRY_BYTES + self.hidden.keys.len() * 16;
        let mut out = Vec::with_capacity(names + entries + surplus.len() * 256 + (1 << 20));
        json_part(&mut out, self);
        for entries in [seen, made] {
            part(&mut out, |out| entries.iter().for_each(|entry| entry.encode(out)));
        }
        part(&mut out, |out| self.hidden.keys.iter().for_each(|key| out.extend(key.to_be_bytes())));
        json_part(&mut out, surplus);
        part(&mut out, |out| {
            for (key, want) in wanted {
                let is = IS.iter().position(|is| *is == want.is).unwrap_or_default();
                out.extend(key.to_be_bytes());
                out.extend(want.standing.to_be_bytes());
                out.extend([want.check, u8::try_from(is).unwrap_or_default()]);
                out.extend(u32::try_from(want.name.len()).unwrap_or_default().to_be_bytes());
                out.extend(want.name.as_bytes());
            }
        });
        out
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub(crate) fn decode(bytes: &[u8], key: &str) -> Result<Self, Error> {
        Self::read(bytes).ok_or_else(|| Error::Input(format!("{key}: it is no checkpoint of a review")))
    }

    fn read(mut rest: &[u8]) -> Option<Self> {
        let mut part = || {
            let length = take(&mut rest, 8)?.iter().fold(0, |n: usize, byte| n << 8 | usize::from(*byte));
            take(&mut rest, length)
        };
        let mut state: Self = serde_json::from_slice(part()?).ok()?;
        state.listing.seen = Entry::decode_all(part()?);
        state.listing.made = Entry::decode_all(part()?);
        state.hidden.keys = part()?.as_chunks::<16>().0.iter().map(|key| u128::from_be_bytes(*key)).collect();
        state.listing.surplus = serde_json::from_slice(part()?).ok()?;
        let mut wanted = part()?;
        while !wanted.is_empty() {
            let key = u128::from_be_bytes(take(&mut wanted, 16)?.try_into().ok()?);
            let standing = u16::from_be_bytes(take(&mut wanted, 2)?.try_into().ok()?);
            let [check, is] = *take(&mut wanted, 2)? else { return None };
            let length = u32::from_be_bytes(take(&mut wanted, 4)?.try_into().ok()?);
            let name = std::str::from_utf8(take(&mut wanted, usize::try_from(length).ok()?)?).ok()?.into();
            let is = *IS.get(usize::from(is))?;
            state.listing.wanted.insert(key, Want { standing, check, is, name });
        }
        Some(state)
    }
}

/// A part, with its length before it.
fn part(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len() + 8;
    out.extend([0; 8]);
    write(out);
    let length = (out.len() - begin) as u64;
    if let Some(place) = out.get_mut(begin - 8..begin) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

fn json_part(out: &mut Vec<u8>, value: &impl Serialize) {
    // It fails on no value of ours, and what was cut is not read again.
    part(out, |out| serde_json::to_writer(out, value).unwrap_or_default());
}

fn take<'b>(rest: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use fleetwarden_core::ids::CheckName;

    use super::*;
    use crate::resources::Kind;
    use crate::snapshot::NEVER;
    use crate::state::Surplus;

    /// A stack may be updated during a review: the next version continues from a checkpoint of this one.
    #[test]
    fn a_checkpoint_has_the_same_members_in_each_version() {
        let state = serde_json::to_value(State::default()).unwrap();
        let members: Vec<&str> = state.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            members.join(" "),
            "audits began drift dryRun gaps hidden keptBy listing members modified orphans phase policy readAt slot \
             standing step"
        );
        assert_eq!(state["phase"], "members");
    }

    #[test]
    fn a_checkpoint_is_read_as_it_was_written() {
        let entry = Entry { key: 5, first_seen: 1, end: NEVER, source: 0, check: 0, flags: 0 };
        let mut state = State { slot: "s".into(), step: 3, ..State::default() };
        state.listing.seen = vec![entry; 3];
        state.listing.sample(&entry, || "name".into());
        state.hidden.keys = vec![1, u128::MAX];
        let resource = Kind::ClientId.identifier("c");
        let check = CheckName::new("CONFLICTING_CLIENT_IDS_CHECK");
        state.listing.surplus = vec![Surplus { standing: None, check, resource }];
        for (key, is) in (0_u128..).zip(IS) {
            let name = format!("é{key}").into();
            state.listing.wanted.insert(key, Want { standing: 300, check: 2, is, name });
        }
        let read = State::decode(&state.encode(), "k").unwrap();
        assert_eq!(format!("{:?}", read.listing.samples), format!("{:?}", state.listing.samples));
        assert_eq!(read.listing.seen, state.listing.seen);
        assert_eq!(read.listing.wanted, state.listing.wanted);
        assert_eq!(read.listing.surplus, state.listing.surplus);
        assert_eq!((&read.hidden.keys, read.step), (&state.hidden.keys, 3));
        for cut in [0, 7, 8, 40] {
            assert!(State::decode(&state.encode()[..cut], "k").is_err());
        }
    }
}
