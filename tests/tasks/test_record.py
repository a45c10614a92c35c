"""The head of a new record, made by the client, is what readers decode."""

from converge_redis import TaskState
from converge_redis.tasks.record import MAX_INLINE_BYTES, RecordHead, decode_record, encode_new_head


def test_a_new_head_is_decoded_to_its_fields() -> None:
    head = RecordHead.decode("p|1000" + encode_new_head("pool:topic:", -5, 30_000_000, 200, "retries=2|"))
    assert head == RecordHead(
        letter="p",
        submitted="1000",
        lane="pool:topic:",
        priority="-5",
        ttl="30000000",
        agent="",
        stored_token="",
        lease="",
        listener="",
        attempts="",
        calls="",
        stored_finished="",
        spec_size="200",
        options=("retries=2",),
    )
    assert (head.state, head.holder, head.token, head.finished) == (TaskState.PENDING, None, None, None)
    assert (head.option("retries"), head.option("retention")) == ("2", None)


def test_a_large_specification_is_not_in_the_record() -> None:
    assert RecordHead.decode("p|1" + encode_new_head("", 0, "", MAX_INLINE_BYTES, "")).spec_size == "1024"
    assert RecordHead.decode("p|1" + encode_new_head("", 0, "", MAX_INLINE_BYTES + 1, "")).spec_size == ""


def test_times_of_a_finished_task_are_relative_to_its_submission() -> None:
    head = RecordHead.decode("c|1000||||ada%20b|7|||||50||")
    assert (head.state, head.holder, head.token, head.finished) == (
        TaskState.COMPLETED,
        "ada b",
        1007,
        1050,
    )


def test_specification_and_result_follow_the_head_or_come_from_keys_of_their_own() -> None:
    inline = decode_record([b"id", b"c|1||||||||||9|4|\nspecresult"])
    assert (inline.spec, inline.result) == (b"spec", b"result")
    apart = decode_record([b"id", b"c|1||||||||||9||\n", b"spec", b"result"])
    assert (apart.spec, apart.result) == (b"spec", b"result")
