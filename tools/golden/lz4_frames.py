"""LZ4 frames of every kind that the reference library (liblz4) writes, for test/record/fixtures/lz4-frames.jsonl.

    pip install lz4==4.4.5 && python tools/golden/lz4_frames.py > test/record/fixtures/lz4-frames.jsonl

A line is JSON: what kind of frame, its bytes, and the size and SHA-256 of what it holds.
"""

import base64
import hashlib
import itertools
import json
import random

import lz4.frame

# More than two blocks of 64 KiB, and a pattern that comes back across their borders, so that linked blocks refer to others.
pattern = random.Random(1).randbytes(500)
content = b"".join(pattern + b"%d" % index for index in range(270))

for linked, block_checksum, content_size, content_checksum in itertools.product([False, True], repeat=4):
    frame = lz4.frame.compress(
        content,
        block_size=lz4.frame.BLOCKSIZE_MAX64KB,
        block_linked=linked,
        block_checksum=block_checksum,
        store_size=content_size,
        content_checksum=content_checksum,
    )
    kind = {"linked": linked, "blockChecksum": block_checksum, "contentSize": content_size, "contentChecksum": content_checksum}
    digest = hashlib.sha256(content).hexdigest()
    print(json.dumps({**kind, "frame": base64.b64encode(frame).decode(), "size": len(content), "sha256": digest}))
