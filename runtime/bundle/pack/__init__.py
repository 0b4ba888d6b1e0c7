"""The pack: a bundle as one file, for copying.

`zip_layout` is the file's form, a zip of which every byte follows from the content; `index` lists that content;
`writer` and `reader` make and read packs, `signing` says who made one, `unpacked` keeps the folder of an opened one.
"""
