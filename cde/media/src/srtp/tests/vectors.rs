//! What others have published, or protected.

use super::*;
use crate::srtp::cipher::{Cipher, Place, SALT_LENGTH};
use crate::srtp::derive::{self, SessionKeys, counter_key, key_stream};
use zeroize::Zeroizing;

fn stream(key: &str, block: &str, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    key_stream(&counter_key(&hex(key)).unwrap(), hex(block).try_into().unwrap(), &mut bytes).unwrap();
    bytes
}

/// RFC 3711 appendix B.2, RFC 6188 section 7.1.
#[test]
fn the_key_streams_are_those_of_the_rfcs() {
    let block = "f0f1f2f3f4f5f6f7f8f9fafbfcfd0000";
    let aes128 = stream("2b7e151628aed2a6abf7158809cf4f3c", block, 48);
    let published = "e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab41e95b3bb0a2e8dd477901e4fca894c0";
    assert_eq!(aes128, hex(published));
    let aes256 = stream("57f82fe3613fd170a85ec93c40b1f0922ec4cb0dc025b58272147cc438944a98", block, 48);
    let published = "92bdd28a93c3f52511c677d08b5515a49da71b2378a854f67050756ded165bac63c4868b7096d88421b563b8c94c9a31";
    assert_eq!(aes256, hex(published));
}

/// RFC 3711 appendix B.3, RFC 6188 section 7.2.
#[test]
fn the_session_keys_are_those_of_the_rfcs() {
    for (suite, master, encryption, salt, authentication) in [
        (
            Suite::Aes128Sha1Tag80,
            "e1f97a0d3e018be0d64fa32c06de4139 0ec675ad498afeebb6960b3aabe6",
            "c61e7a93744f39ee10734afe3ff7a087",
            "30cbbc08863d8c85d49db34a9ae1",
            "cebe321f6ff7716b6fd4ab49af256a156d38baa4",
        ),
        (
            Suite::Aes256Sha1Tag80,
            "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6 3b04803de51ee7c96423ab5b78d2",
            "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4",
            "fa31791685ca444a9e07c6c64e93",
            "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05",
        ),
    ] {
        let master = Master::new(suite, &hex(master)).unwrap();
        let keys = SessionKeys::derive(&master, &derive::RTP).unwrap();
        assert_eq!(*keys.encryption, hex(encryption), "{suite:?}");
        assert_eq!(keys.salt.as_slice(), hex(salt), "{suite:?}");
        assert_eq!(keys.authentication.as_slice(), hex(authentication), "{suite:?}");
    }
}

const GCM_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn gcm(suite: Suite) -> Cipher {
    let mut salt = Zeroizing::new([0; SALT_LENGTH]);
    salt[..12].copy_from_slice(b"Quid pro quo");
    let encryption = Zeroizing::new(hex(GCM_KEY)[..suite.key_length()].to_vec());
    Cipher::new(suite, &SessionKeys { encryption, authentication: Zeroizing::new([0; 20]), salt }, false).unwrap()
}

/// RFC 7714 sections 16.1 and 16.2.
#[test]
fn a_packet_under_gcm_is_that_of_the_rfc() {
    let packet = [hex("8040f17b8041f8d35501a0b2").as_slice(), b"Gallia est omnis divisa in partes tres"].concat();
    let place = Place { ssrc: 0x5501_a0b2, index: 0xf17b };
    for (suite, published) in [
        (
            Suite::Aes128Gcm,
            "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833\
             899d7f27beb16a9152cf765ee4390cce",
        ),
        (
            Suite::Aes256Gcm,
            "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b\
             7aa3db36dfffd6b0f9bb7878d7a76c13",
        ),
    ] {
        let mut buffer = [packet.as_slice(), &[0; 16]].concat();
        assert_eq!(gcm(suite).seal_rtp(&mut buffer, 12, packet.len(), place), Some(buffer.len()));
        assert_eq!(buffer, hex(published), "{suite:?}");
        let mut out = vec![0; packet.len()];
        assert_eq!(gcm(suite).open_rtp(&buffer, 12, place, &mut out), Some(packet.len()));
        assert_eq!(out, packet, "{suite:?}");
    }
}

/// RFC 7714 sections 17.1 and 17.2.
#[test]
fn a_report_under_gcm_is_that_of_the_rfc() {
    let report =
        hex("81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeef\
                      deadbeef");
    let place = Place { ssrc: 0x4d61_7273, index: 0x5d4 };
    for (suite, published) in [
        (
            Suite::Aes128Gcm,
            "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9\
             275bc84aa45896cf4d2fc5abf87245d9eade800005d4",
        ),
        (
            Suite::Aes256Gcm,
            "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de0476f1b\
             6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4",
        ),
    ] {
        let mut buffer = [report.as_slice(), &[0; 20]].concat();
        assert_eq!(gcm(suite).seal_rtcp(&mut buffer, report.len(), place), Some(buffer.len()));
        assert_eq!(buffer, hex(published), "{suite:?}");
        assert_eq!(gcm(suite).rtcp_index(&buffer), Some(0x5d4));
        let mut out = vec![0; report.len()];
        assert_eq!(gcm(suite).open_rtcp(&buffer, place, &mut out), Some(report.len()));
        assert_eq!(out, report, "{suite:?}");
    }
}

/// What Debian's libsrtp2 2.5.0 has made of packets with the numbers 0xfffe and, three later, 1; and of a compound of RTCP,
/// which it numbers from 1.
const LIBSRTP: [(Suite, [&str; 3]); 5] = [
    (
        Suite::Aes128Sha1Tag80,
        [
            "8000fffe00000000cafebabe4cd1bd9906b5a2b677b4240bc8eaebbade1c42e0b5fc2c7b486310e6ad0b",
            "8000000100000003cafebabe2c4e0d83963c4f323ec567bc787dbb40c222403ba26fb41d22573742a3f6",
            "80c90001cafebabe63565579a7091e8d4ee73c6080000001ae416954037a35078b08",
        ],
    ),
    (
        Suite::Aes128Sha1Tag32,
        [
            "8000fffe00000000cafebabe7f214d20b3606e225052f7e6bae0632980cd36c4afb4e50d",
            "8000000100000003cafebabe1e4b0977cd56175c3ff3b6c513b6a1dcdccd203c050f0159",
            "80c90001cafebabe2657f8202b39554d1b54709d8000000182ebb7bec71c3a49a954",
        ],
    ),
    (
        Suite::Aes256Sha1Tag80,
        [
            "8000fffe00000000cafebabeab44149a8f8c7b32cedb5880350062056a4477154b6ee7cbc4ed1f0a05a1",
            "8000000100000003cafebabe55ca73121c63fb606aba0ccc199a58f5db09dbafc4ed2606def79dc4d2c5",
            "80c90001cafebabe8cb62005819ee157d61531048000000189262d053cafe65ec55f",
        ],
    ),
    (
        Suite::Aes128Gcm,
        [
            "8000fffe00000000cafebabee5b7a008b810ceee7c919205aa1db6bfb5f06ba3a7f5377c72a6bf8d8923b8a61690c366",
            "8000000100000003cafebabe2b1d4e951a9051fcf72136634d0dc5047a6242fde5022a730365780cd3e80a005d2fb367",
            "80c90001cafebabe64b28556b7abad63f713ca25d8129c1bc47db18abbdc27430022af1880000001",
        ],
    ),
    (
        Suite::Aes256Gcm,
        [
            "8000fffe00000000cafebabef8b3a8aed5637aa2000638e7cd2ed66aa26654c00ab37da2c05849c7b430d4b3b96962b6",
            "8000000100000003cafebabe21b832463723c8990815300d6966a1cb462f6f753e651a6a227081def99a96eeaac57d82",
            "80c90001cafebabeec71a4aa23c2c39cb31e57aec54be4d9bd577e87986182391b29d85880000001",
        ],
    ),
];

#[test]
fn libsrtp_has_the_same_words_for_everything() {
    for ((suite, [first, fourth, rtcp]), salt) in LIBSRTP.into_iter().zip(0..) {
        let master = || master(suite, salt);
        let (mut sender, mut receiver) = (Sender::new(master()).unwrap(), Receiver::new(master()).unwrap());
        let packet = |sequence: u16, number: u8| {
            let sequence = sequence.to_be_bytes();
            let head = [0x80, 0, sequence[0], sequence[1], 0, 0, 0, number, 0xca, 0xfe, 0xba, 0xbe];
            [head.as_slice(), &(number..number + 20).collect::<Vec<u8>>()].concat()
        };
        for (sequence, number, published) in [(0xfffe, 0, first), (1, 3, fourth)] {
            let packet = packet(sequence, number);
            assert_eq!(protect(&mut sender, &packet), Some(hex(published)), "{suite:?}");
            assert_eq!(take(&mut receiver, &hex(published)), Ok(packet), "{suite:?}");
        }
        let report = [hex("80c90001cafebabe81ca0002cafebabe0102").as_slice(), b"ab"].concat();
        let mut buffer = [report.as_slice(), &[0; RTCP_TRAILER_MAX]].concat();
        let length = sender.with_rtcp_index(1).protect_rtcp(&mut buffer, report.len()).unwrap();
        assert_eq!(buffer[..length], hex(rtcp), "{suite:?}");
        let mut out = [0; PACKET_MAX];
        let length = receiver.unprotect_rtcp(&hex(rtcp), &mut out).unwrap();
        assert_eq!(out[..length], report, "{suite:?}");
    }
}
