"""The work itself: the primes below n, counted by a sieve, so that it costs a processor some milliseconds."""


def primes_below(n):
    marks = bytearray([1]) * n
    marks[:2] = b"\0\0"[:n]
    for i in range(2, int(n ** 0.5) + 1):
        if marks[i]:
            marks[i * i::i] = bytes(len(range(i * i, n, i)))
    return sum(marks)
