//! The header of NumPy's array files, version 1.0 (NumPy Enhancement Proposal 1;
//! `numpy/lib/format.py`). It is derived from element type and shape and compared byte for byte,
//! so that none is ever parsed.

use crate::tensor::{DType, Shape};

/// Everything in a `.npy` file before the numbers; its length is a multiple of 64.
pub(super) fn header(dtype: DType, shape: &Shape) -> Vec<u8> {
    let descr = match dtype {
        DType::F16 => "<f2",
        // NumPy has no such type; two bytes that `ml_dtypes` can view as one.
        DType::BF16 => "|V2",
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        DType::I8 => "|i1",
        DType::I16 => "<i2",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::U8 => "|u1",
        DType::U16 => "<u2",
        DType::U32 => "<u4",
        DType::U64 => "<u8",
        DType::Bool => "|b1",
    };
    // As Python writes a tuple.
    let dims: String = shape.dims().iter().map(|dim| format!("{dim}, ")).collect();
    let dims = match shape.rank() {
        1 => dims.trim_end(),
        _ => dims.trim_end_matches(", "),
    };
    let mut text =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({dims}), }}").into_bytes();
    const PREFIX: usize = 10;
    let padded = (PREFIX + text.len() + 1).next_multiple_of(64) - PREFIX;
    text.resize(padded - 1, b' ');
    text.push(b'\n');
    // 32 dimensions of 20 digits stay far below this.
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes();
    [b"\x93NUMPY\x01\x00".as_slice(), &length, &text].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `numpy.save` of NumPy 2.4.6 writes for such arrays.
    #[test]
    fn headers_are_those_of_numpy() {
        let text = |dtype, dims: &[usize]| {
            let header = header(dtype, &Shape::from(dims));
            assert_eq!(header.len() % 64, 0);
            assert_eq!(header[..8], *b"\x93NUMPY\x01\x00");
            assert_eq!(usize::from(u16::from_le_bytes([header[8], header[9]])), header.len() - 10);
            String::from_utf8(header[10..].to_vec()).unwrap().trim_end().to_owned()
        };
        let expected = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3, 1, 32), }";
        assert_eq!(text(DType::F32, &[3, 3, 1, 32]), expected);
        let expected = "{'descr': '|b1', 'fortran_order': False, 'shape': (10,), }";
        assert_eq!(text(DType::Bool, &[10]), expected);
        let expected = "{'descr': '<f8', 'fortran_order': False, 'shape': (), }";
        assert_eq!(text(DType::F64, &[]), expected);
    }

    /// Wherever the text ends in its last 64 bytes, nothing of it is cut off.
    #[test]
    fn headers_of_any_length_are_whole() {
        let texts =
            (1..32).flat_map(|rank| [1, 10, 100].map(|last| [vec![1; rank], vec![last]].concat()));
        for dims in texts {
            let header = header(DType::F32, &Shape::from(dims.as_slice()));
            assert_eq!(header.len() % 64, 0, "{dims:?}");
            assert_eq!(header.last(), Some(&b'\n'), "{dims:?}");
            assert!(header.trim_ascii_end().ends_with(b"), }"), "{dims:?}");
        }
    }
}
