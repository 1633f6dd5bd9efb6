"""Small vaults as the programs write them, by path. Ids and words are made up."""

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
IDS = [f"{number:032x}" for number in range(0xA0, 0xB0)]
UUID = "66b0a1c2-0000-4000-8000-00000000000{}".format

OBSIDIAN = {
    ".obsidian/app.json": "{}",
    ".obsidian/workspace.json": "{}",
    "Home.md": (
        "---\ntags: [home, area/sea]\naliases: [Start]\n---\n# Home\n\nSee [[Harbour]], [[ops/Harbour|the harbour]], "
        "[[Harbour#Berths]], [[Harbour#^b1]] and [rel](ops/Harbour.md#Berths).\n\n![[tide.png]] ![[tide.png|300]]\n\n"
        "#loose/tag here, `#not` there\n"
    ),
    "ops/Harbour.md": (
        "## Berths\n\nTwelve. ^b1\n\n[[Start]] [[../Home]] ![](../files/tide.png)\n\n```dataview\nLIST\n```\n"
    ),
    "files/tide.png": PNG,
    "Board.canvas": '{"nodes":[]}',
    "Views.base": "views: []\n",
    "crlf.md": "one\r\ntwo [[Home]]\r\nno last line",
}

LOGSEQ = {
    "logseq/config.edn": (
        '{:meta/version 1\n ;; :journal/page-title-format "EEE do, MMM yyyy"\n'
        ' :journal/page-title-format "EEEE, do MMMM yyyy"\n :file/name-format :triple-lowbar}\n'
    ),
    "logseq/custom.css": "",
    "logseq/bak/pages/Sea/2024.md": "- an old version\n",
    "journals/2024_01_31.md": (
        "- Met at [[Projects/Harbour]] #meeting #[[two words]] #123\n"
        f"  - see (({UUID(1)})) and {{{{embed (({UUID(2)}))}}}}\n"
        "- ![tide](../assets/tide_1.png)\n- `#code` and {{query (todo now)}}\n"
    ),
    "journals/notes.md": "- not a day\n",
    "pages/Projects___Harbour.md": (
        "tags:: [[Big Idea]], sea, #boats\nalias:: Port, [[The Harbour]]\nstatus:: open\n\n"
        "- Berths: [[Wednesday, 31st January 2024]]\n  id:: " + UUID(1) + "\n- ![](../assets/tide_1.png) [b](Sea.md)\n"
    ),
    "pages/Projects%2FPier.md": "- [[Port]]\n",
    "pages/Sea.md": "title:: The Sea: a story\n\n- [[Projects/Pier]] [the port]([[Port]])\n",
    "pages/What%3F.md": "- [[The Sea: a story]]\n",
    "pages/yaml.md": "---\ntitle: From YAML\ntags: [front]\n---\n- text #back\n",
    "pages/old.org": "* Org\n",
    "whiteboards/plan.edn": "{}",
    "assets/tide_1.png": PNG,
}

NOTION = {
    f"Home {IDS[0]}.md": (
        f"# Home: all of it\n\n[Harbour](Home%20{IDS[0]}/Harbour%20{IDS[1]}.md)\n"
        f"[Berths](Home%20{IDS[0]}/Berths%20{IDS[2]}.csv)\n"
        f"[Same](Home%20{IDS[0]}/Meeting%20{IDS[4]}.md) [web](https://example.com/a%20b)\n"
        f'![](Home%20{IDS[0]}/tide%20table.png)\n<img src="Home%20{IDS[0]}/tide%20table.png">\n'
        f"https://www.notion.so/Harbour-{IDS[1]}?pvs=21 and https://www.notion.so/Other-{'f' * 32}\n"
    ),
    f"Home {IDS[0]}/Harbour {IDS[1]}.md": (
        "# Harbour, with a title that Notion has cut in the name of the file\n\nTags: Sea, Big Idea\nStatus: Open\n"
        f"Created: January 31, 2024 9:00 AM\n\nTags: no property\n"
        f"[up](../Home%20{IDS[0]}.md) [row](Berths%20{IDS[2]}/One%20{IDS[3]}.md)\n"
    ),
    f"Home {IDS[0]}/Berths {IDS[2]}.csv": "Name,Boat\nOne,Ann\n",
    f"Home {IDS[0]}/Berths {IDS[2]}_all.csv": "Name,Boat\nOne,Ann\n",
    f"Home {IDS[0]}/Berths {IDS[2]}/One {IDS[3]}.md": "# One\n\nBoat: Ann\n\nText.\n",
    f"Home {IDS[0]}/Meeting {IDS[4]}.md": "# Meeting\n\nFirst.\n",
    f"Home {IDS[0]}/Meeting {IDS[5]}.md": "# Meeting\n\nSecond.\n",
    f"Home {IDS[0]}/tide table.png": PNG,
    f"Home {IDS[0]}/{IDS[6]}.png": PNG + b"1",
    f"Plain {IDS[7]}.md": "No heading here.\n",
}

BEAR = {
    "Harbour.textbundle/text.markdown": (
        "# Harbour\n#sea/boats #big idea# and #one and #two, `#code`, #42\n\n![](assets/tide%20table.png) [[Pier]]\n"
    ),
    "Harbour.textbundle/info.json": '{"net.shinyfrog.bear": {"trashed": 0, "archived": 0}}',
    "Harbour.textbundle/assets/tide table.png": PNG,
    "Pier.textbundle/text.txt": "# Pier\n\n[[Harbour]] ![](assets/tide%20table.png)\n",
    "Pier.textbundle/info.json": '{"net.shinyfrog.bear": {"archived": 1}}',
    "Pier.textbundle/assets/tide table.png": PNG + b"2",
    "Gone.textbundle/text.markdown": "# Gone\n",
    "Gone.textbundle/info.json": '{"net.shinyfrog.bear": {"trashed": 1}}',
    "Gone.textbundle/assets/gone.png": PNG + b"3",
    "Secret.textbundle/text.markdown": "6f6f6f",
    "Secret.textbundle/info.json": '{"net.shinyfrog.bear": {"encrypted": 1}}',
    "Damaged.textbundle/text.md": "No heading, #tag\n",
    "Damaged.textbundle/info.json": "{",
    "packed.textpack": b"PK",
}

PLAIN = {
    "README.md": "# Docs\n\n[guide](guide/start.md) ![](img/a.png) [gone](gone.md)\n",
    "guide/start.md": "---\ntitle: Start here\ntags: [intro]\n---\n[back](../README.md#docs)\n",
    "guide/notes/x.md": "#no-tag",
    "img/a.png": PNG,
    "data.csv": "a,b\n",
}

ALL = {"obsidian": OBSIDIAN, "logseq": LOGSEQ, "notion": NOTION, "bear": BEAR, "plain": PLAIN}
