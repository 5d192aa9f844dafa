from local.simulators import Simulators
from tests.simulators.conftest import MAILBOX, Client


def names(answer: dict) -> list[str]:
    return [folder["displayName"] for folder in answer["value"]]


def test_well_known_names_work_in_every_language(simulators: Simulators, graph: Client) -> None:
    simulators.graph.mailboxes.add("hilfe@example.com", names={"inbox": "Posteingang"})

    answer = graph.request("GET", "/v1.0/users/hilfe@example.com/mailFolders/Inbox")

    assert answer.json()["displayName"] == "Posteingang"


def test_folders_come_in_pages_of_ten_without_the_hidden_ones(simulators: Simulators, graph: Client) -> None:
    for number in range(5):
        graph.mail("POST", "/mailFolders", json={"displayName": f"Extra {number}"})

    first = graph.mail("GET", "/mailFolders").json()
    second = graph.mail("GET", first["@odata.nextLink"]).json()

    assert len(first["value"]) == 10
    assert "@odata.nextLink" not in second
    assert {"Inbox", "Archive", "Extra 4"} <= {*names(first), *names(second)}
    assert "Conversation History" not in {*names(first), *names(second)}


def test_children_are_found_by_name(graph: Client) -> None:
    graph.mail("POST", "/mailFolders/inbox/childFolders", json={"displayName": "Ann's"})
    graph.mail("POST", "/mailFolders/inbox/childFolders", json={"displayName": "Bob's"})

    answer = graph.mail("GET", "/mailFolders/inbox/childFolders?$filter=displayName eq 'Ann''s'")

    assert names(answer.json()) == ["Ann's"]


def test_a_name_is_taken_once_in_a_folder(graph: Client) -> None:
    first = graph.mail("POST", "/mailFolders/inbox/childFolders", json={"displayName": "Done"})
    second = graph.mail("POST", "/mailFolders/inbox/childFolders", json={"displayName": "done"})

    assert first.status_code == 201
    assert second.status_code == 409
    assert second.json()["error"]["code"] == "ErrorFolderExists"


def test_a_folder_counts_its_messages(simulators: Simulators, graph: Client) -> None:
    simulators.graph.deliver(MAILBOX, b"\r\n", read=True)
    simulators.graph.deliver(MAILBOX, b"\r\n")

    folder = graph.mail("GET", "/mailFolders/inbox").json()

    assert (folder["totalItemCount"], folder["unreadItemCount"]) == (2, 1)


def test_an_unknown_folder_is_not_found(graph: Client) -> None:
    assert graph.mail("GET", "/mailFolders/AAMkFunknown=").json()["error"]["code"] == "ErrorItemNotFound"
    assert graph.mail("GET", "/mailFolders/inbocks").json()["error"]["code"] == "ErrorInvalidIdMalformed"
