# The download sample of Alibaba Cloud's page "Instance RAM roles", unmodified apart from its five
# settings, which are the arguments of this program.
import sys

import oss2
from alibabacloud_credentials.client import Client
from alibabacloud_credentials.models import Config
from oss2 import CredentialsProvider
from oss2.credentials import Credentials


class CredentialProviderWarpper(CredentialsProvider):
    def __init__(self, client):
        self.client = client

    def get_credentials(self):
        access_key_id = self.client.get_access_key_id()
        access_key_secret = self.client.get_access_key_secret()
        security_token = self.client.get_security_token()
        return Credentials(access_key_id, access_key_secret, security_token)


def download_image_using_instance_role(bucket_name, endpoint, object_key, local_file, role_name):
    config = Config(type="ecs_ram_role", role_name=role_name)
    cred = Client(config)
    credentials_provider = CredentialProviderWarpper(cred)
    auth = oss2.ProviderAuth(credentials_provider)

    bucket = oss2.Bucket(auth, endpoint, bucket_name)

    bucket.get_object_to_file(object_key, local_file)
    print("Image downloaded successfully")


if __name__ == "__main__":
    role_name, bucket_name, endpoint, object_key, local_file = sys.argv[1:]

    download_image_using_instance_role(bucket_name, endpoint, object_key, local_file, role_name)
