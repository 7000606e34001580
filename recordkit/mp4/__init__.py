"""MP4 (ISO/IEC 14496-12, -14, -15) as bytes in and bytes out, without I/O."""
