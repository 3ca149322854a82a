"""Races on loopback: osssync and its peers against one neutral server. Nothing here ships."""
