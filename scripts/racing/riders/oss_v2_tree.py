"""A bucket down or a folder up through alibabacloud-oss-v2, with its own transfer managers.

usage: oss_v2_tree.py down|up ENDPOINT BUCKET FOLDER COUNT
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import alibabacloud_oss_v2 as oss  # type: ignore[import-untyped]

LARGE = 8 << 20  # from here on an object goes through a transfer manager, in parts
THREADS = 16
PARTS_AT_ONCE = 4


def main(direction: str, endpoint: str, name: str, folder: Path) -> None:
    """Moves everything, objects in parallel, parts of large ones too."""
    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(
        os.environ["OSS_ACCESS_KEY_ID"], os.environ["OSS_ACCESS_KEY_SECRET"]
    )
    config.region = "cn-hangzhou"
    config.endpoint = endpoint
    config.use_path_style = True
    client = oss.Client(config)
    downloader = client.downloader(part_size=LARGE, parallel_num=PARTS_AT_ONCE)
    uploader = client.uploader(part_size=LARGE, parallel_num=PARTS_AT_ONCE)

    def down(key: str, size: int) -> None:
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        request = oss.GetObjectRequest(bucket=name, key=key)
        if size < LARGE:
            client.get_object_to_file(request, str(path))
        else:
            downloader.download_file(request, str(path))

    def up(key: str, size: int) -> None:
        path = folder / key
        request = oss.PutObjectRequest(bucket=name, key=key)
        if size < LARGE:
            client.put_object_from_file(request, str(path))
        else:
            uploader.upload_file(request, str(path))

    with ThreadPoolExecutor(THREADS) as pool:
        if direction == "down":
            pages = client.list_objects_v2_paginator().iter_page(
                oss.ListObjectsV2Request(bucket=name, max_keys=1000)
            )
            moves = [
                pool.submit(down, found.key, found.size)
                for page in pages
                for found in page.contents or ()
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
