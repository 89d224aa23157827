"""The parts of bench/run in the order in which they run; each is a function that adds rows to the bench."""
from parts import balancers, calls, flows, functions, images, machines, metrics, networks, objects, rest, tasks

PARTS = {
    "start": rest.start,
    "idle": rest.idle,
    "calls": calls.calls,
    "writes": calls.writes,
    "metrics": metrics.rates,
    "s3-small": objects.small,
    "s3-large": objects.large,
    "layers": images.layers,
    "skopeo": images.skopeo,
    "cold": functions.cold,
    "crowd": functions.crowd,
    "warm": functions.warm,
    "cells": functions.cells,
    "networks": networks.networks,
    "balancers": balancers.rates,
    "flows": flows.flows,
    "instances": machines.instances,
    "containers": machines.crowd,
    "disks": machines.disks,
    "tasks": tasks.start,
    "tasks-crowd": tasks.crowd,
    "services": tasks.convergence,
    "deployment": tasks.deployment,
    "describe": machines.describe,
}
