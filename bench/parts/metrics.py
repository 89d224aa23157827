"""Metrics: how fast they come in and are asked for, and what they take of the disk."""
import os
import re
import subprocess

from parts.tools import ROOT, median


def rates(bench):
    """data put and asked for through the API, and bytes of disk a metric by the minute takes in a year"""
    put, get = [], []
    with bench.cloud() as cloud:
        bench.load(cloud.port, "metrics-put", seconds=0.3)
        for n in range(bench.rounds):
            bench.round(n)
            put.append(bench.load(cloud.port, "metrics-put")["rate"] * 20)
            get.append(bench.load(cloud.port, "metrics-get")["rate"] * 20)
    bench.add("PutMetricData, values that are on the disk", median(put), "/s", bigger=True, note="64 connections, 20 values a call",
              bound="one thread, and a sync of the disk for calls that come together.")
    bench.add("GetMetricData, metrics asked for", median(get), "/s", bigger=True, note="64 connections, 20 metrics of three hours a call")
    year = os.path.join(ROOT, "build", "tests", "sim", "sim_metrics_year")
    if os.path.exists(year):
        bench.say("metrics: a year on a clock of its own")
        text = subprocess.run([year], capture_output=True, text=True, check=True).stdout
        bench.add("disk of a metric by the minute for a year", int(re.search(r"(\d+) bytes a metric", text).group(1)) / 1024, "KiB", reach=105,
                  note="an ordinary mix of 16, from states that hardly change to noise of six digits; 105 KiB is ten thousand in a GiB")
