//! The variables: an index that lies, and texts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use keepnet::Model;
use keepnet::bytes::Budget;
use keepnet::wire::tensorflow::{
    BundleEntryProto, BundleHeaderProto, DataType, TensorShapeProto, read_table, write_table,
};
use prost::Message;
use prost::encoding::encode_varint;

use super::super::Tried;
use super::{HUGE, field};

pub(super) type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

pub(super) fn changed_index(index: &[u8], change: impl FnOnce(&mut Entries)) -> Vec<u8> {
    let entries = read_table(index, &mut Budget::new(1 << 24)).unwrap();
    let mut entries = entries.into_iter().map(|(key, value)| (key, value.to_vec())).collect();
    change(&mut entries);
    write_table(&entries)
}

pub(super) fn mask(crc: u32) -> [u8; 4] {
    crc.rotate_right(15).wrapping_add(0xA282_EAD8).to_le_bytes()
}

/// A block and its trailer, with a checksum that agrees.
pub(super) fn block(content: &[u8], kind: u8) -> Vec<u8> {
    let block = [content, &[kind]].concat();
    let crc = mask(crc32c::crc32c(&block));
    [block, crc.to_vec()].concat()
}

pub(super) fn handle(offset: u64, size: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_varint(offset, &mut bytes);
    encode_varint(size, &mut bytes);
    bytes
}

/// An entry of a block: bytes shared with the key before, the rest of the key, the value.
pub(super) fn entry(shared: u64, key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in [shared, key.len() as u64, value.len() as u64] {
        encode_varint(number, &mut bytes);
    }
    [&bytes, key, value].concat()
}

pub(super) const ONE_RESTART: [u8; 8] = [0, 0, 0, 0, 1, 0, 0, 0];

/// A table of one data block, of that content and kind, of which the index says that it stands at `place`.
pub(super) fn table(content: &[u8], kind: u8, place: Option<Vec<u8>>) -> Vec<u8> {
    let mut table = block(content, kind);
    let place = place.unwrap_or_else(|| handle(0, content.len() as u64));
    let metaindex = handle(table.len() as u64, 8);
    table.extend(block(&ONE_RESTART, 0));
    let entries = [&entry(0, b"\xff", &place)[..], &ONE_RESTART].concat();
    let index = handle(table.len() as u64, entries.len() as u64);
    table.extend(block(&entries, 0));
    let mut footer = [metaindex, index].concat();
    footer.resize(40, 0);
    footer.extend(0xDB47_7524_8B80_FB57_u64.to_le_bytes());
    [table, footer].concat()
}

/// The index of the variables: its blocks, checksums and keys.
pub(super) fn tables(tried: &mut Tried, path: &Path) {
    let file = path.join("variables/variables.index");
    let before = fs::read(&file).unwrap();
    let mut refuse = |what: &str, bytes: &[u8], reason: &str| {
        fs::write(&file, bytes).unwrap();
        tried.refused(what, path, reason);
    };
    let header = BundleHeaderProto { num_shards: 1, ..BundleHeaderProto::default() };
    let first = entry(0, b"", &header.encode_to_vec());
    let sound = [&first[..], &ONE_RESTART].concat();
    refuse("65,536 times 0xFF", &[0xFF; 1 << 16], "");
    refuse("no table", b"", "does not end as a table");
    refuse("a footer alone", &before[before.len() - 48..], "");
    for (what, place) in [
        ("a block beyond the table", handle(1 << 20, 10)),
        ("a block at 2^63", handle(1 << 63, 10)),
        ("a block at 2^64 − 1", handle(u64::MAX, u64::MAX)),
        ("a block of 2^63 bytes", handle(0, 1 << 63)),
        ("a block that is the index", handle(30, 8)),
        ("half a place", vec![0x80]),
        ("a place of eleven bytes", vec![0xFF; 11]),
    ] {
        refuse(what, &table(&sound, 0, Some(place)), "");
    }
    refuse("a gap before a block", &table(&sound, 0, Some(handle(1, sound.len() as u64 - 1))), "");
    // What claims to be 4 GiB, inflated.
    let bomb = [&[0xFF, 0xFF, 0xFF, 0xFF, 0x0F][..], &[0xFE; 4096]].concat();
    refuse("a block of snappy", &table(&bomb, 1, None), "compressed by snappy");
    refuse("a block of zstd", &table(&bomb, 2, None), "compressed by an unknown method");
    for restarts in [100_u32, 0xFFFF, u32::MAX] {
        let lying = [&first[..], &[0; 4], &restarts.to_le_bytes()].concat();
        refuse(&format!("{restarts} restart points"), &table(&lying, 0, None), "restart points");
    }
    refuse("a block of three bytes", &table(&[0; 3], 0, None), "");
    let entries = |list: &[Vec<u8>]| table(&[&list.concat()[..], &ONE_RESTART].concat(), 0, None);
    refuse(
        "a key that shares what is not there",
        &entries(&[entry(9, b"a", b"")]),
        "shares 9 bytes",
    );
    refuse("a key that shares 2^63 bytes", &entries(&[entry(1 << 63, b"a", b"")]), "shares");
    let long = [0, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0];
    refuse("a key of 4 GiB", &entries(&[long.to_vec()]), "");
    refuse("a value of 4 GiB", &entries(&[vec![0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]]), "");
    let twice = [first.clone(), entry(0, b"a", b""), entry(0, b"a", b"")];
    refuse("a key twice", &entries(&twice), "the keys should ascend");
    let turned = [first.clone(), entry(0, b"b", b""), entry(0, b"a", b"")];
    refuse("keys that descend", &entries(&turned), "the keys should ascend");
    refuse(
        "a key that is no text",
        &entries(&[first.clone(), entry(0, b"\xfe", b"")]),
        "is no text",
    );
    refuse("no header", &entries(&[entry(0, b"a", b"")]), "");
    // 60,000 bytes, repeated 60,000 times by five bytes each: 3.6 GB.
    let mut many = vec![first, entry(0, &[b'k'; 60_000], b"")];
    many.extend((0..60_000_u32).map(|_| entry(60_000, b"", b"")));
    refuse("keys that share much", &entries(&many), "");
    let mut wrong = before.clone();
    let crc = sound.len();
    wrong[crc] ^= 1;
    refuse("a wrong checksum of a block", &wrong, "CRC-32C of the block");
    fs::write(&file, before).unwrap();
    tried.read("the table as it was", path);
}

/// What the index says of shards and of a tensor.
pub(super) fn entries(tried: &mut Tried, path: &Path) {
    let file = path.join("variables/variables.index");
    let before = fs::read(&file).unwrap();
    let key = b"variables/1/.ATTRIBUTES/VARIABLE_VALUE".to_vec();
    let mut refuse = |what: &str, index: &[u8], reason: &str| {
        fs::write(&file, index).unwrap();
        tried.refused(what, path, reason);
    };
    for (shards, reason) in [
        (0, "1 to 4096 shards"),
        (-1, "1 to 4096 shards"),
        (4097, "1 to 4096 shards"),
        (i32::MAX, "1 to 4096 shards"),
        (4096, "missing"),
    ] {
        let header = BundleHeaderProto { num_shards: shards, ..BundleHeaderProto::default() };
        let other = changed_index(&before, |all| drop(all.insert(vec![], header.encode_to_vec())));
        refuse(&format!("{shards} shards"), &other, reason);
    }
    let big = BundleHeaderProto { num_shards: 1, endianness: 1, ..BundleHeaderProto::default() };
    let big = changed_index(&before, |all| drop(all.insert(vec![], big.encode_to_vec())));
    refuse("big-endian numbers", &big, "big-endian");
    type Change = fn(&mut BundleEntryProto);
    let shape = |dims: [i64; 2]| Some(TensorShapeProto::new(dims));
    let changes: [(&str, Change, &str); 18] = [
        ("2^63 − 1 bytes", |it| it.size = i64::MAX, "takes"),
        ("−1 bytes", |it| it.size = -1, "the size of"),
        ("an offset of −1", |it| it.offset = -1, "the offset of"),
        ("an offset of 2^63 − 1", |it| it.offset = i64::MAX, "is said to stand"),
        ("the bytes of another", |it| it.offset += 4, ""),
        ("shard 1", |it| it.shard_id = 1, "of shard 1"),
        ("shard −1", |it| it.shard_id = -1, "the shard of"),
        ("shard 2^31 − 1", |it| it.shard_id = i32::MAX, "is said to stand"),
        ("type 99", |it| it.dtype = 99, "the type of"),
        ("type −1", |it| it.dtype = -1, "the type of"),
        ("no type", |it| it.dtype = 0, ""),
        ("another checksum", |it| it.crc32c ^= 1, "the CRC-32C of"),
        ("no shape", |it| it.shape = None, "takes"),
        ("half the bytes for each number", |it| it.dtype = DataType::Half.into(), "takes"),
        ("texts", |it| it.dtype = DataType::String.into(), "the texts of"),
        ("an unknown length", |it| it.shape = Some(TensorShapeProto::new([-1])), "takes"),
        ("a part", |it| it.slices = vec![Default::default()], "stored in parts"),
        ("a resource", |it| it.dtype = DataType::Resource.into(), ""),
    ];
    let with = |change: &dyn Fn(&mut BundleEntryProto)| {
        changed_index(&before, |all| {
            let value = all.get_mut(&key).unwrap();
            let mut entry = BundleEntryProto::decode(&**value).unwrap();
            change(&mut entry);
            *value = entry.encode_to_vec();
        })
    };
    for (what, change, reason) in changes {
        refuse(&format!("a tensor of {what}"), &with(&change), reason);
    }
    for dims in [[HUGE, 1], [1 << 40, 1 << 40], [i64::MAX, i64::MAX], [i64::MIN, 1]] {
        let huge = with(&|it| it.shape = shape(dims));
        refuse(&format!("a tensor of shape {dims:?}"), &huge, "bytes, the index says 8");
    }
    let deep = with(&|it| it.shape = Some(TensorShapeProto::new([1; 1 << 16])));
    refuse("a tensor of 65,536 axes", &deep, "takes");
    // 70,000 tensors.
    let many = changed_index(&before, |all| {
        let entry = all[&key].clone();
        all.extend((0..70_000).map(|number| (format!("x{number}").into_bytes(), entry.clone())));
    });
    refuse("70,000 tensors", &many, "the number of tensors");
    fs::write(&file, before).unwrap();
    // The numbers.
    let data = path.join("variables/variables.data-00000-of-00001");
    let numbers = fs::read(&data).unwrap();
    for place in 0..numbers.len() {
        let mut wrong = numbers.clone();
        wrong[place] ^= 1 << (place % 8);
        fs::write(&data, wrong).unwrap();
        assert!(Model::load(path).is_err(), "byte {place}");
    }
    fs::File::options().write(true).open(&data).unwrap().set_len(16 << 30).unwrap();
    tried.refused("16 GiB of nothing behind the numbers", path, "bytes of memory");
    fs::write(&data, numbers).unwrap();
    tried.read("the numbers as they were", path);
}

/// Texts that claim other lengths than they have.
pub(super) fn texts(tried: &mut Tried, path: &Path) {
    let file = path.join("variables/variables.index");
    let data = path.join("variables/variables.data-00000-of-00001");
    let (index, numbers) = (fs::read(&file).unwrap(), fs::read(&data).unwrap());
    let lengths: [(&str, Vec<u8>, i64); 6] = [
        ("2^63 bytes", handle(1 << 63, 0)[..10].to_vec(), 1),
        ("4 GiB", vec![0xFF, 0xFF, 0xFF, 0xFF, 0x0F], 1),
        ("2^64 − 1 bytes, twice", [handle(u64::MAX, u64::MAX)].concat(), 2),
        ("eleven bytes of length", vec![0xFF; 11], 1),
        ("one byte, 2^60 times", vec![1], HUGE),
        ("no bytes, 1,000,000 times", vec![0; 1_000_000], 1_000_000),
    ];
    for (what, lengths, count) in lengths {
        let stored = [&lengths[..], &[0; 4], b"text"].concat();
        let entry = BundleEntryProto {
            dtype: DataType::String.into(),
            shape: Some(TensorShapeProto::new([count])),
            offset: numbers.len() as i64,
            size: stored.len() as i64,
            ..BundleEntryProto::default()
        };
        let changed =
            changed_index(&index, |all| drop(all.insert(b"text".to_vec(), entry.encode_to_vec())));
        fs::write(&file, changed).unwrap();
        fs::write(&data, [&numbers[..], &stored].concat()).unwrap();
        tried.refused(&format!("a text of {what}"), path, "the texts of `text`");
    }
    // The objects of TensorFlow, which are a text in the bundle.
    let key = b"_CHECKPOINTABLE_OBJECT_GRAPH".to_vec();
    for (what, objects, reason) in [
        ("10,000,000 objects", field(1, &[]).repeat(10_000_000), "those that programs write take"),
        ("a length of 2^63", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f".to_vec(), "break off"),
    ] {
        let mut lengths = Vec::new();
        encode_varint(objects.len() as u64, &mut lengths);
        let crc = crc32c::crc32c(&(objects.len() as u32).to_le_bytes());
        let stored = [&lengths[..], &mask(crc), &objects].concat();
        let crc = crc32c::crc32c_append(crc, &mask(crc));
        let crc = crc32c::crc32c_append(crc, &objects);
        let entry = BundleEntryProto {
            dtype: DataType::String.into(),
            shape: Some(TensorShapeProto::default()),
            offset: numbers.len() as i64,
            size: stored.len() as i64,
            crc32c: u32::from_le_bytes(mask(crc)),
            ..BundleEntryProto::default()
        };
        let changed =
            changed_index(&index, |all| drop(all.insert(key.clone(), entry.encode_to_vec())));
        fs::write(&file, changed).unwrap();
        fs::write(&data, [&numbers[..], &stored].concat()).unwrap();
        tried.refused(&format!("objects: {what}"), path, reason);
    }
    fs::write(&file, index).unwrap();
    fs::write(&data, numbers).unwrap();
    tried.read("the bundle as it was", path);
}
