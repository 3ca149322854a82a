"""A bucket down or a folder up through oss2, with the calls and flags its documentation names.

usage: oss2_tree.py down|up ENDPOINT BUCKET FOLDER COUNT
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import oss2  # noqa: TID251 - it is what is raced here

LARGE = 8 << 20  # from here on an object is resumable and goes in parts
THREADS = 16
THREADS_AN_OBJECT = 4


def main(direction: str, endpoint: str, name: str, folder: Path) -> None:
    """Moves everything, objects in parallel, parts of large ones too."""
    auth = oss2.AuthV4(os.environ["OSS_ACCESS_KEY_ID"], os.environ["OSS_ACCESS_KEY_SECRET"])
    session = oss2.Session(pool_size=THREADS * THREADS_AN_OBJECT)
    bucket = oss2.Bucket(
        auth, endpoint, name, session=session, region="cn-hangzhou", is_path_style=True
    )
    store = oss2.ResumableStore(root=os.environ["TMPDIR"])
    download_store = oss2.ResumableDownloadStore(root=os.environ["TMPDIR"])

    def down(key: str, size: int) -> None:
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        if size < LARGE:
            bucket.get_object_to_file(key, str(path))
            return
        oss2.resumable_download(
            bucket,
            key,
            str(path),
            multiget_threshold=LARGE,
            part_size=LARGE,
            num_threads=THREADS_AN_OBJECT,
            store=download_store,
        )

    def up(key: str, size: int) -> None:
        path = folder / key
        if size < LARGE:
            bucket.put_object_from_file(key, str(path))
            return
        oss2.resumable_upload(
            bucket,
            key,
            str(path),
            multipart_threshold=LARGE,
            part_size=LARGE,
            num_threads=THREADS_AN_OBJECT,
            store=store,
        )

    with ThreadPoolExecutor(THREADS) as pool:
        if direction == "down":
            moves = [
                pool.submit(down, found.key, found.size)
                for found in oss2.ObjectIterator(bucket, max_keys=1000)
            ]
        else:
            files = (path for path in folder.rglob("*") if path.is_file())
            moves = [
                pool.submit(up, path.relative_to(folder).as_posix(), path.stat().st_size)
                for path in files
            ]
        for move in moves:
            move.result()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
