"""OSS through oss2: the verbs we use, typed."""
