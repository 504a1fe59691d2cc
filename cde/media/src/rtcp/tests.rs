//! What is written can be read, and what lies is refused.

use super::*;
use proptest::prelude::*;

const OURS: u32 = 0xdead_beef;
const THEIRS: u32 = 7;

fn block() -> impl Strategy<Value = Block> {
    let lost = -0x0080_0000..0x0080_0000;
    (any::<(u8, u32, u32, u32, u32)>(), lost).prop_map(
        |((fraction_lost, highest, jitter, last_report, since), lost)| Block {
            ssrc: THEIRS,
            fraction_lost,
            lost,
            highest,
            jitter,
            last_report,
            since_last_report: since,
        },
    )
}

fn report() -> impl Strategy<Value = Report> {
    let sender = any::<(u64, u32, u32, u32)>().prop_map(|(ntp, timestamp, packets, octets)| Sender {
        ntp,
        timestamp,
        packets,
        octets,
    });
    (prop::option::of(sender), prop::option::of(block()), any::<[u8; NAME_LENGTH]>(), any::<bool>())
        .prop_map(|(sender, block, name, bye)| Report { ssrc: OURS, sender, block, name, bye })
}

/// Bytes that look like RTCP from packet to packet, with lengths and counts that may lie.
fn like_rtcp() -> impl Strategy<Value = Vec<u8>> {
    let packet = (any::<u8>(), 198_u8..206, 0_u16..14, prop::collection::vec(0_u8..20, 0..60));
    prop::collection::vec(packet, 0..6).prop_map(|packets| {
        let bytes = packets.into_iter().flat_map(|(flags, kind, words, mut body)| {
            if flags & 0x40 == 0 {
                // Every other one tells the truth.
                body.resize(usize::from(words) * 4, 1);
            }
            [vec![0x80 | flags & 0x3f, kind, 0, u8::try_from(words).unwrap()], body].concat()
        });
        bytes.collect()
    })
}

proptest! {
    #[test]
    fn what_is_written_can_be_read(report in report()) {
        let compound = Compound::new(&report);
        prop_assert!(is_rtcp(compound.as_bytes()) && compound.as_bytes().len().is_multiple_of(4));
        let received = parse(compound.as_bytes(), THEIRS).unwrap();
        let sender = report.sender.map(|sender| (OURS, sender));
        let name = Some(report.name.as_slice());
        prop_assert_eq!(received, Received { sender, block: report.block, name, bye: report.bye });
        prop_assert_eq!(parse(compound.as_bytes(), OURS).unwrap().block, None, "nobody reports of itself");
    }

    #[test]
    fn a_compound_that_is_cut_within_a_packet_is_none(report in report(), cut in 0..COMPOUND_MAX) {
        let compound = Compound::new(&report);
        let bytes = compound.as_bytes();
        let mut rest = bytes;
        let next = || first(rest).ok().map(|(_, later)| {
            rest = later;
            bytes.len() - later.len()
        });
        let ends: Vec<usize> = std::iter::from_fn(next).collect();
        let cut = cut.min(bytes.len());
        prop_assert_eq!(parse(&bytes[..cut], THEIRS).is_ok(), ends.contains(&cut));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes, THEIRS);
    }

    #[test]
    fn bytes_that_look_like_reports_never_panic(bytes in like_rtcp(), cut in 0_usize..8) {
        let _ = parse(&bytes, 0x0101_0101);
        let _ = parse(&bytes[..bytes.len().saturating_sub(cut)], 0x0101_0101);
    }
}

fn full() -> Report {
    let sender = Sender { ntp: 0x0102_0304_0506_0708, timestamp: 9, packets: 10, octets: 11 };
    let block =
        Block { ssrc: THEIRS, fraction_lost: 1, lost: -2, highest: 3, jitter: 4, last_report: 5, since_last_report: 6 };
    Report { ssrc: OURS, sender: Some(sender), block: Some(block), name: *b"0123456789abcdef", bye: true }
}

fn error(bytes: &[u8]) -> Option<NotRtcp> {
    parse(bytes, THEIRS).err()
}

#[test]
fn the_longest_compound_fits() {
    assert_eq!(Compound::new(&full()).as_bytes().len(), COMPOUND_MAX);
    assert_eq!(middle(full().sender.unwrap().ntp), 0x0304_0506);
}

#[test]
fn a_report_is_laid_out_as_the_rfc_draws_it() {
    let mut report = full();
    (report.sender, report.bye) = (None, false);
    let expected = [
        &[0x81, 201, 0, 7, 0xde, 0xad, 0xbe, 0xef][..],
        &[0, 0, 0, 7, 1, 0xff, 0xff, 0xfe, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6],
        &[0x81, 202, 0, 6, 0xde, 0xad, 0xbe, 0xef, 1, 16],
        b"0123456789abcdef\0\0",
    ];
    assert_eq!(Compound::new(&report).as_bytes(), expected.concat());
}

#[test]
fn lengths_and_counts_that_lie_are_refused() {
    let whole = Compound::new(&full()).as_bytes().to_vec();
    let changed = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        error(&bytes)
    };
    assert_eq!(error(&[]), Some(NotRtcp::Truncated));
    assert_eq!(error(&whole[..3]), Some(NotRtcp::Truncated));
    assert_eq!(error(&whole[..whole.len() - 1]), Some(NotRtcp::Truncated));
    assert_eq!(changed(0, 0x41), Some(NotRtcp::Kind), "version 1");
    assert_eq!(changed(1, 100), Some(NotRtcp::Kind), "RTP");
    assert_eq!(changed(0, 0x82), Some(NotRtcp::Truncated), "two blocks are said");
    assert_eq!(changed(0, 0xa1), Some(NotRtcp::Padding), "in the middle");
    assert_eq!(changed(52, 0x82), Some(NotRtcp::Truncated), "two names are said");
    assert_eq!(changed(61, 17), None, "a name may take one of its zeros");
    assert_eq!(changed(61, 18), Some(NotRtcp::Truncated), "a name without an end");
    assert_eq!(changed(80, 0x82), Some(NotRtcp::Truncated), "two leave, it says");
    assert_eq!(changed(80, 0xa1), Some(NotRtcp::Padding), "longer than its packet");
}

#[test]
fn padding_and_a_reason_are_nothing_of_the_report() {
    let mut bytes = Compound::new(&full()).as_bytes().to_vec();
    let without = bytes.len() - 8;
    bytes.truncate(without);
    bytes.extend([0xa1, 203, 0, 4, 0, 0, 0, 7, 3, b'o', b'u', b't', 0, 0, 0, 4, 0, 0, 0, 4]);
    let whole = parse(&bytes, THEIRS);
    assert!(whole.is_ok_and(|received| received.bye && received.block.is_some()));
    let reason = without + 8;
    bytes[reason] = 8;
    assert_eq!(error(&bytes), Some(NotRtcp::Truncated));
}

#[test]
fn types_that_are_not_known_are_skipped_and_a_lone_packet_is_enough() {
    let unknown = [0x85, 207, 0, 1, 9, 9, 9, 9];
    let bye = [0x81, 203, 0, 1, 0, 0, 0, 7];
    assert!(parse(&[unknown, bye].concat(), THEIRS).is_ok_and(|received| received.bye));
    assert!(parse(&unknown, THEIRS).is_ok_and(|received| received == Received::default()));
    assert!(parse(&unknown.repeat(PACKETS_MAX), THEIRS).is_ok());
    assert_eq!(error(&unknown.repeat(PACKETS_MAX + 1)), Some(NotRtcp::TooMany));
}
