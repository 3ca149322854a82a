"""OSS and the ECS metadata service on loopback, strict and independent of the rest of osssync.

For the demo, for tests, and as a fixture for other people's tests. It imports nothing of osssync:
what it accepts is written from the vendor's specification, so it can judge osssync's own requests.
"""
