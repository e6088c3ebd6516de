from bench.plans import Plan, summary


def test_a_plan_is_summed_up_by_rows_pages_chunks_and_nodes() -> None:
    def scan(relation: str) -> dict[str, object]:
        return {"Node Type": "Index Scan", "Relation Name": relation}

    explained = {
        "Execution Time": 1.5,
        "Plan": {
            "Node Type": "Append",
            "Actual Rows": 360.0,
            "Actual Loops": 1,
            "Shared Hit Blocks": 40,
            "Shared Read Blocks": 2,
            "Plans": [scan("_hyper_1_1_chunk"), scan("_hyper_1_2_chunk"), scan("hosts")],
        },
    }
    assert summary(explained) == Plan(360, 42, 2, 1.5, ("Append", "Index Scan"))
